"""How long objects live under plain FastAPI `Depends`.

A provider is a dependency function as FastAPI knows it: what it makes lives for one request. With
`@singleton` it runs once, when the root scope opens. Where there is no request (a job, a command, a
WebSocket message) `Scope.resolve` runs the same providers.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from types import ModuleType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from fastapi import Depends, params
from starlette.requests import HTTPConnection

from app.overrides import Override
from app.settings import Settings

T = TypeVar("T")
Provider = Callable[..., Any]


class Singleton:
    """A provider that runs once for the app's life; requests are handed what it made."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.__name__ = provider.__name__

    async def __call__(self, connection: HTTPConnection) -> Any:
        return connection.scope["state"]["root_scope"].singletons[self]


def singleton(provider: Provider) -> Singleton:
    """Decorate a provider whose object is made once, when the root scope opens."""
    return Singleton(provider)


class RootScope:
    """The app's life: its singletons, and the scopes opened from it."""

    def __init__(
        self,
        settings: Settings,
        modules: Sequence[ModuleType],
        overrides: Sequence[Override] = (),
        replacements: dict[Provider, Provider] | None = None,
    ) -> None:
        self.settings = settings
        self.singletons: dict[Singleton, Any] = {}
        self.dependencies: dict[type[Any], params.Depends] = {}
        for wanted, needed in (alias for module in modules for alias in _aliases(module)):
            if self.dependencies.setdefault(wanted, needed).dependency is not needed.dependency:
                raise LookupError(
                    f"{wanted.__name__} has two providers in the `dependencies.py` files"
                )
        _check_singletons_have_aliases(modules, self.dependencies.values())
        self.replacements = {} if replacements is None else replacements
        """Of providers, for every scope; in an app its own `dependency_overrides`."""
        for each in overrides:
            provider = _provider(self.dependency_on(each.service))
            if isinstance(provider, Singleton):
                self.singletons[provider] = each.instance
            else:
                self.replacements[provider] = _constant(each.instance)

    def dependency_on(self, wanted: type[Any]) -> params.Depends:
        """Return how `wanted` is provided. Raises LookupError if no `dependencies.py` says it."""
        if needed := self.dependencies.get(wanted):
            return needed
        known = ", ".join(sorted(known.__name__ for known in self.dependencies))
        raise LookupError(f"nothing provides {wanted.__name__}; there are: {known}")

    @asynccontextmanager
    async def new_scope(self) -> AsyncIterator["Scope"]:
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        async with AsyncExitStack() as stack:
            yield Scope(self, stack)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Make the singletons; close them in reverse order. Raises TypeError if one needs a request's object."""
        async with self.new_scope() as scope:
            for provider in map(_provider, self.dependencies.values()):
                if isinstance(provider, Singleton) and provider not in self.replacements:
                    await scope.open_singleton(provider)
            yield


class Scope:
    """One unit of work: everything resolved in it is made at most once, and closed with it."""

    def __init__(self, root_scope: RootScope, stack: AsyncExitStack) -> None:
        self._root_scope = root_scope
        self._stack = stack
        self._made: dict[Provider, Any] = {get_root_scope: root_scope}

    async def resolve(self, wanted: type[T]) -> T:
        """Return the scope's `wanted`. Raises LookupError if nothing provides it, TypeError if it needs a request."""
        made: T = await self._resolve(self._root_scope.dependency_on(wanted))
        return made

    async def open_singleton(self, provider: Singleton) -> Any:
        """Return what the singleton made, making it now if it is not there yet."""
        singletons = self._root_scope.singletons
        if provider not in singletons:
            for needed in map(_provider, _dependencies(provider.provider).values()):
                if needed is not get_root_scope and not isinstance(needed, Singleton):
                    path = f"{_name(provider)} -> {_name(needed)}"
                    raise TypeError(f"a singleton would keep a request's object: {path}")
            singletons[provider] = await self._run(provider.provider)
        return singletons[provider]

    async def _resolve(self, needed: params.Depends) -> Any:
        provider = _provider(needed)
        provider = self._root_scope.replacements.get(provider, provider)
        if isinstance(provider, Singleton):
            return await self.open_singleton(provider)
        if not needed.use_cache:
            return await self._run(provider)
        if provider not in self._made:
            self._made[provider] = await self._run(provider)
        return self._made[provider]

    async def _run(self, provider: Provider) -> Any:
        needs = _dependencies(provider).items()
        arguments = {name: await self._resolve(needed) for name, needed in needs}
        if inspect.isasyncgenfunction(provider):
            return await self._stack.enter_async_context(asynccontextmanager(provider)(**arguments))
        if inspect.isgeneratorfunction(provider):
            return self._stack.enter_context(contextmanager(provider)(**arguments))
        made = provider(**arguments)
        return await made if inspect.isawaitable(made) else made


async def get_root_scope(connection: HTTPConnection) -> RootScope:
    root_scope: RootScope = connection.scope["state"]["root_scope"]
    return root_scope


RootScopeDep = Annotated[RootScope, Depends(get_root_scope)]


def _check_singletons_have_aliases(
    modules: Sequence[ModuleType], dependencies: Iterable[params.Depends]
) -> None:
    providers = {_provider(needed) for needed in dependencies}
    for value in (value for module in modules for value in vars(module).values()):
        if isinstance(value, Singleton) and value not in providers:
            raise LookupError(
                f"{_name(value)} is a singleton without an alias: "
                f"write `...Dep = Annotated[..., Depends({_name(value)})]` below it"
            )


def _aliases(module: ModuleType) -> Iterator[tuple[type[Any], params.Depends]]:
    """Yield each `Alias = Annotated[Type, Depends(provider)]` of a module as (Type, Depends)."""
    for value in vars(module).values():
        if get_origin(value) is Annotated:
            wanted, *metadata = get_args(value)
            yield from ((wanted, each) for each in metadata if isinstance(each, params.Depends))


@cache
def _dependencies(provider: Provider) -> dict[str, params.Depends]:
    """Return the `Depends` of each parameter. Raises TypeError for one that only a request can fill."""
    found = {}
    hints = get_type_hints(provider, include_extras=True)
    for name, parameter in inspect.signature(provider).parameters.items():
        for candidate in (parameter.default, *get_args(hints.get(name))):
            if isinstance(candidate, params.Depends):
                found[name] = candidate
        if name not in found and parameter.default is inspect.Parameter.empty:
            raise TypeError(f"{_name(provider)} takes {name!r} from a request; there is none here")
    return found


def _provider(needed: params.Depends) -> Provider:
    assert needed.dependency is not None, "write Depends(provider), with the provider"
    return needed.dependency


def _constant(instance: object) -> Provider:
    async def provided() -> object:
        return instance

    return provided


def _name(provider: Any) -> str:
    return str(getattr(provider, "__name__", provider))
