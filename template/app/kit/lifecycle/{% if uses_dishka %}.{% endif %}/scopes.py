"""Scopes under the container (dishka).

`Provider` classes say how objects are made: once for the app (`Scope.APP`), or once for a request
or another unit of work (`Scope.REQUEST`). A request has a scope of its own. Where there is no
request (a job, a command, a WebSocket message), `RootScope.new_scope` opens one.

Slices may use plain `Depends`. The container runs their providers, and FastAPI takes the objects
from it by `dependency_overrides`: a unit of work has one object of each type, whoever asks. With
overrides FastAPI is slower in every request, so write a `Provider` for the objects of hot routes. A
provider that needs more of a request than its connection is run by FastAPI; its object cannot be
resolved.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from inspect import Parameter, Signature
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import dishka
from dishka import Scope, exceptions
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle import providers
from app.kit.lifecycle.providers import Override, Provider, T, WiringError, place, singleton
from app.kit.settings import KitSettings

_VALIDATION = dishka.ValidationSettings(implicit_override=True)


class RootScope:
    """The life of the app: dishka's container, its singletons, and the scopes opened from it."""

    def __init__(self, settings: KitSettings, overrides: Sequence[Override]) -> None:
        self.container: dishka.AsyncContainer
        self.singletons: dict[Any, Any] = {RootScope: self, KitSettings: settings} | dict(overrides)
        """The objects of the singletons by type or provider. An override is one from the start."""
        self.plain: dict[Provider, Any] = {}
        """The plain providers that the container runs, and what to resolve for each."""
        self.modules: Sequence[ModuleType] = ()
        """What says how objects are made."""
        self.providers: list[dishka.Provider] = []

    def provided(self) -> set[Any]:
        """Return the types that the service and the kit provide."""
        found = {RootScope, KitSettings, HTTPConnection}
        for each in self.providers:
            sources: list[Any] = [*each.factories, *each.aliases, *each.context_vars]
            found.update(source.provides.type_hint for source in sources)
        return found

    def add_plain(self, wanted: Any, provider: Provider, use_cache: bool) -> Any:
        """Let the container run a provider and those that it needs, unless only FastAPI can.

        Return what to resolve for it, or None.
        """
        if provider is Resolve(wanted).dependency:
            return wanted
        if provider not in self.plain:
            needs = {
                each.name: self.add_plain(*needed) if needed else _if_connection(each.annotation)
                for each, needed in providers.parameters(provider).items()
            }
            key = provider if providers.is_plain(wanted) else wanted
            scope = Scope.APP if isinstance(provider, singleton) else Scope.REQUEST
            added = dishka.Provider(scope)
            if key in self.singletons:
                added.from_context(provides=key)
            elif None not in needs.values():
                added.provide(_factory(provider, needs), provides=key, cache=use_cache)
            elif scope is Scope.APP:
                raise WiringError(f"{place(provider)} is a singleton and needs a request")
            else:
                return None
            self.providers.append(added)
            self.plain[provider] = key
        return self.plain[provider]

    def open(self, aliases: dict[Any, str]) -> None:
        """Make the container. Raise WiringError for what dishka says of the graph.

        `aliases` has what aliases ask for, with their names.
        """
        provided, fixed = self.provided(), dishka.Provider(Scope.APP)
        for wanted in self.singletons:
            if wanted not in provided:
                raise providers.not_provided(wanted, provided, "an override")
            fixed.from_context(provides=wanted, override=True)
        fixed.from_context(provides=_OpenedBy, scope=Scope.REQUEST)
        fixed.provide(get_connection, scope=Scope.REQUEST)
        for wanted, name in aliases.items():  # so that dishka finds what nothing provides
            alias = type(name, (), {})
            fixed.provide(_factory(alias, {"wanted": wanted}), provides=alias, scope=Scope.REQUEST)
        try:
            self.container = dishka.make_async_container(
                *self.providers, fixed, context=self.singletons, validation_settings=_VALIDATION
            )
        except exceptions.InvalidGraphError as error:
            raise WiringError(str(error)) from None

    def new_scope(self) -> "WorkScope":
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        return WorkScope(self)


class WorkScope:
    """One unit of work: each object is made at most once in it and closed with it.

    It belongs to one task.
    """

    def __init__(self, root_scope: RootScope, connection: HTTPConnection | None = None) -> None:
        self._root_scope = root_scope
        self._context: dict[Any, Any] = {_OpenedBy: _OpenedBy(connection)}
        self._container = root_scope.container(self._context)

    async def resolve(self, wanted: type[T]) -> T:
        """Return the scope's `wanted`.

        Raise LookupError if nothing provides it, TypeError if it needs a request.
        """
        try:
            return await self._container.get(wanted)
        except exceptions.NoFactoryError as error:
            raise providers.not_provided(wanted, self._root_scope.provided()) from error

    async def __aenter__(self) -> "WorkScope":
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._context.clear()  # the connection refers to this scope: a cycle for the GC
        await self._container.close(error)


class _OpenedBy(NamedTuple):
    connection: HTTPConnection | None


def get_connection(opened_by: _OpenedBy) -> HTTPConnection:
    """Return the connection of the scope. Raise TypeError if no request opened it."""
    if opened_by.connection is None:
        raise TypeError("a factory takes 'connection' from a request; there is none here")
    opened_by.connection.scope["app.connection_resolved"] = True  # what is made depends on it
    return opened_by.connection


def _if_connection(annotation: Any) -> Any:
    return annotation if annotation is HTTPConnection else None


def _factory(provider: Provider, needs: dict[str, Any]) -> Provider:
    """Return a factory of dishka's that runs a provider and raises the error of the scope in it."""

    async def make(**arguments: Any) -> AsyncGenerator[Any, BaseException | None]:
        stack = AsyncExitStack()
        if (error := (yield await providers.run(provider, arguments, stack))) is not None:
            await stack.__aexit__(type(error), error, error.__traceback__)
        await stack.aclose()

    make.__qualname__ = place(provider)  # dishka's errors say it
    make.__annotations__ = needs
    make.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(name, Parameter.KEYWORD_ONLY, annotation=key) for name, key in needs.items()]
    )
    return make


@cache
def Resolve(wanted: Any) -> Any:  # noqa: N802 (reads as `Depends` does)
    """Return a FastAPI dependency on what the container resolves for `wanted`.

    The first object that is no singleton opens the scope of a request. It closes with FastAPI's
    dependencies with `yield`, after the response.
    """

    async def resolve(connection: HTTPConnection) -> Any:
        root_scope: RootScope = connection.scope["state"]["root_scope"]
        if wanted in root_scope.singletons:
            return root_scope.singletons[wanted]
        scope: WorkScope | None = connection.scope.get("app.work_scope")
        if scope is None:
            scope = connection.scope["app.work_scope"] = WorkScope(root_scope, connection)
            connection.scope["fastapi_inner_astack"].push_async_exit(scope)
        return await scope.resolve(wanted)

    return Depends(resolve, use_cache=False)  # the container keeps the objects


RootScopeDep = Annotated[RootScope, Resolve(RootScope)]


def as_provider(value: object) -> dishka.Provider | None:
    """Return a provider of dishka's, or one of such a class; None for anything else."""
    made = value() if isinstance(value, type) and issubclass(value, dishka.Provider) else value
    return made if isinstance(made, dishka.Provider) else None


@asynccontextmanager
async def open_root_scope(
    settings: KitSettings,
    modules: Sequence[ModuleType],
    overrides: Sequence[Override] = (),
    dependency_overrides: dict[Provider, Provider] | None = None,
) -> AsyncIterator[RootScope]:
    """Make the singletons for an app, a worker, a command or a test; close them in reverse order.

    Raise WiringError if `modules` do not say how. An app hands over its `dependency_overrides`.
    """
    root_scope = RootScope(settings, overrides)
    root_scope.modules = modules
    for module in modules:
        root_scope.providers += filter(None, map(as_provider, vars(module).values()))
    aliases = providers.find_aliases(modules).items()
    asked = {root_scope.add_plain(*needed): name for name, needed in aliases}
    asked.pop(None, None)
    root_scope.open(asked)
    async with root_scope.container as container:
        for key, factory in container.registry.factories.items():
            if factory.cache and not key.depth and not getattr(key.type_hint, "__parameters__", ()):
                made = await container.get(key.type_hint, key.component)
                root_scope.singletons[key.type_hint] = made
        for plain, key in root_scope.plain.items():
            if isinstance(plain, singleton):
                root_scope.singletons[plain] = root_scope.singletons[key]
            elif dependency_overrides is not None:
                dependency_overrides.setdefault(plain, Resolve(key).dependency)
        yield root_scope
