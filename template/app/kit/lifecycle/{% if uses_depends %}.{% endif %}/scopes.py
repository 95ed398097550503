"""Scopes under plain FastAPI `Depends`.

A provider makes one object for a request, a singleton one for the app. Where there is no request (a
job, a command, a WebSocket message), `WorkScope.resolve` runs the same providers. For a
`list[...]`, write a provider that returns it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from pydantic.fields import FieldInfo
from starlette.requests import HTTPConnection

from app.kit.lifecycle import providers
from app.kit.lifecycle.providers import Needed, Override, Provider, WiringError, place, singleton
from app.kit.settings import KitSettings

T = TypeVar("T")


class RootScope:
    """The life of the app: its singletons, and the scopes opened from it."""

    def __init__(self, settings: KitSettings, replacements: dict[Provider, Provider]) -> None:
        self.settings = settings
        self.replacements = replacements  # of providers, in every scope
        self.singletons: dict[Provider, Any] = {}
        self.needed: dict[Any, Needed] = {}  # by the type that can be resolved
        self.scope: WorkScope  # of the singletons

    @asynccontextmanager
    async def new_scope(self) -> AsyncIterator["WorkScope"]:
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        async with AsyncExitStack() as stack:
            yield WorkScope(self, stack)

    def override(self, override: Override) -> None:
        """Replace what is provided for a type. Raise LookupError if nothing provides it."""
        provider = self.find(override.service).provider
        if isinstance(provider, singleton):
            self.singletons[provider] = override.instance
        else:
            self.replacements[provider] = _constant(override.instance)

    def find(self, wanted: Any) -> Needed:
        if wanted not in self.needed:
            raise providers.not_provided(wanted, self.needed)
        return self.needed[wanted]


class WorkScope:
    """One unit of work: each object is made at most once in it and closed with it.

    It belongs to one task.
    """

    def __init__(self, root_scope: RootScope, stack: AsyncExitStack) -> None:
        self._root_scope = root_scope
        self._stack = stack
        self._made: dict[Provider, Any] = {get_root_scope: root_scope}

    async def resolve(self, wanted: type[T]) -> T:
        """Return the scope's `wanted`.

        Raise LookupError if nothing provides it, TypeError if it needs a request.
        """
        made: T = await self.provide(self._root_scope.find(wanted))
        return made

    async def provide(self, needed: Needed) -> Any:
        """Return what a provider, or its replacement, makes in this scope."""
        provider = self._root_scope.replacements.get(needed.provider, needed.provider)
        scope, kept = self, self._made
        if isinstance(provider, singleton):
            scope, kept = self._root_scope.scope, self._root_scope.singletons
        elif not needed.use_cache:
            return await self._run(provider)
        if provider not in kept:
            kept[provider] = await scope._run(provider)
        return kept[provider]

    async def _run(self, provider: Provider) -> Any:
        arguments = {}
        for parameter, needed in providers.parameters(provider).items():
            if needed is not None:
                if isinstance(provider, singleton):
                    _check_lives_on(provider, needed.provider)
                arguments[parameter.name] = await self.provide(needed)
            elif parameter.default is parameter.empty or isinstance(parameter.default, FieldInfo):
                fault = f"takes {parameter.name!r} from a request; there is none here"
                raise TypeError(f"{place(provider)} {fault}")
        return await providers.run(provider, arguments, self._stack)


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
    aliases = providers.find_aliases(modules).values()
    replacements = {} if dependency_overrides is None else dependency_overrides
    root_scope = RootScope(settings, replacements)
    root_scope.needed |= _by_type(aliases)
    for each in overrides:
        root_scope.override(each)
    async with root_scope.new_scope() as scope:
        root_scope.scope = scope
        for needed in aliases:
            if isinstance(needed.provider, singleton) and needed.provider not in replacements:
                await scope.provide(needed)
        yield root_scope


async def get_root_scope(connection: HTTPConnection) -> RootScope:
    root_scope: RootScope = connection.scope["state"]["root_scope"]
    return root_scope


RootScopeDep = Annotated[RootScope, Depends(get_root_scope)]


def _by_type(aliases: Iterable[Needed]) -> dict[Any, Needed]:
    """Return the needs of aliases by type, without plain types.

    Raise WiringError for two providers.
    """
    found: dict[Any, Needed] = {}
    for each in aliases:
        first = each if providers.is_plain(each.wanted) else found.setdefault(each.wanted, each)
        if first.provider is not each.provider:
            places = map(place, (first.provider, each.provider))
            raise providers.two_providers(each.wanted, *places)
    return found


def _check_lives_on(provider: singleton, needed: Provider) -> None:
    if needed is not get_root_scope and not isinstance(needed, singleton):
        fault = f"{place(provider)} is a singleton and would keep what {place(needed)} makes"
        raise WiringError(f"{fault} for a scope: make both singletons, or neither")


def _constant(instance: object) -> Provider:
    async def provided() -> object:
        return instance

    return provided
