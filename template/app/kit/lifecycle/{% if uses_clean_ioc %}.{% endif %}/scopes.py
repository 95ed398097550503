"""Scopes under the container (Clean IoC).

A class is registered once with its lifespan; its constructor resolves by itself. A request has a
scope of its own. Where there is no request (a job, a command, a WebSocket message),
`RootScope.new_scope` opens one.

Slices may use plain `Depends`. The container runs their providers, and FastAPI takes the objects
from it by `dependency_overrides`: a unit of work has one object of each type, whoever asks. With
overrides FastAPI is slower in every request, so register the objects of hot routes. A provider that
needs more of a request than its connection is run by FastAPI; its object cannot be resolved.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import Annotated, Any, get_args

import clean_ioc as ioc
from clean_ioc.registration_filters import with_id
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle import providers
from app.kit.lifecycle.providers import Override, Provider, T, WiringError, place, singleton
from app.kit.settings import KitSettings

_ANY_PARENT = ioc.DependencyNode(object, object, ioc.Lifespan.transient)


class RootScope(ioc.Container):
    """The life of the app: Clean IoC's container, its singletons, and the scopes opened from it."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self.singletons: dict[Any, Any] = dict(overrides)
        """The objects of the singletons by type or provider. An override is one from the start."""
        self.places: dict[Any, list[str]] = {}
        """Where each type is registered: the names of modules and providers."""
        self.modules: Sequence[ModuleType] = ()
        """What says how objects are made."""
        self.place = "the kit"
        """Where the next type is registered."""
        self.plain: dict[Provider, Any] = {}
        """The plain providers that the container runs, and what to resolve for each."""
        self.graph: TopologicalSorter[Any] = TopologicalSorter()
        """What each type needs."""
        super().__init__()  # type: ignore[no-untyped-call]
        # Of the library's own types, services may ask for those that say who asks, not for scopes.
        self.places = {ioc.CurrentGraph: [], ioc.DependencyContext: []}
        for service, fake in self.singletons.items():
            super().register(service, instance=fake, lifespan=ioc.Lifespan.singleton)
        self.register(HTTPConnection, factory=get_connection, lifespan=ioc.Lifespan.scoped)
        self.register(RootScope, instance=self, lifespan=ioc.Lifespan.singleton)

    def register(self, service_type: Any, *arguments: Any, **options: Any) -> str:
        for each in {service_type, *arguments}:
            self.places.setdefault(each, []).append(self.place)
        if service_type in self.singletons:
            return ""  # an override replaces all registrations, also in a `list[...]`
        return super().register(service_type, *arguments, **options)

    def register_plain(self, wanted: Any, provider: Provider, use_cache: bool) -> Any:
        """Register a provider and those that it needs, unless only FastAPI can run it.

        Return what to resolve for it, or None.
        """
        if provider is Resolve(wanted).dependency:
            return wanted
        if provider not in self.plain:
            needs = {
                each.name: self.register_plain(*needed) if needed else each.annotation
                for each, needed in providers.parameters(provider).items()
            }
            if wanted in self.singletons or self.places.keys() >= set(needs.values()):
                key = provider if providers.is_plain(wanted) else wanted
                lifespan = ioc.Lifespan.scoped if use_cache else ioc.Lifespan.transient
                if isinstance(provider, singleton):
                    lifespan = ioc.Lifespan.singleton
                self.place = place(provider)
                self.register(key, factory=_factory(provider, needs), lifespan=lifespan)
                self.plain[provider] = key
                self.graph.add(key, *needs.values())
            elif isinstance(provider, singleton):
                raise WiringError(f"{place(provider)} is a singleton and needs a request")
        return self.plain.get(provider)

    def check(self, asked: dict[Any, str]) -> None:
        """Raise WiringError for what is missing, ambiguous or cyclic, which Clean IoC 1.x does not.

        `asked` has what aliases ask for, with their names.
        """
        in_lists: set[Any] = set()
        unset = ioc.DependencySettings()
        for service in self.places:
            for each in self.registrations(service):
                for need in each.dependencies.values():
                    if need.generic_collection_type:
                        in_lists.update(get_args(need.service_type))
                        self.graph.add(service, *get_args(need.service_type))
                    elif need.default_value is ioc.EMPTY and need.settings == unset:
                        asked.setdefault(need.service_type, place(each.implementation))
                        self.graph.add(service, need.service_type)
        for wanted in asked.keys() - self.places.keys() - {None}:
            raise providers.not_provided(wanted, self.places, asked[wanted])
        for service in self.places.keys() - (in_lists - asked.keys()):
            if len(self.registrations(service)) > 1:
                raise providers.two_providers(service, *self.places[service])
        try:
            self.graph.prepare()
        except CycleError as error:
            cycle = " -> ".join(map(place, reversed(error.args[1])))
            raise WiringError(f"a cycle: {cycle}") from None

    async def make_singletons(self) -> None:
        """Make them one by one: the container has no lock, and first requests come together."""
        for wanted in self.places:
            for each in self.registrations(wanted):
                if each.lifespan is ioc.Lifespan.singleton:
                    self.singletons[wanted] = await self.resolve_async(wanted, with_id(each.id))
                for kept in self.scoped_instances.values():
                    fault = f"the singleton {place(wanted)} would keep {place(kept.service_type)}"
                    raise WiringError(f"{fault} of a scope: make both singletons, or neither")

    def registrations(self, service_type: Any) -> list[Any]:
        """Return what competes for a type: without a name, and for any parent."""
        return self.find_registrations(service_type=service_type, parent_node=_ANY_PARENT)

    def new_scope(self) -> "WorkScope":
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        return WorkScope(self)


class WorkScope(ioc.ChildScope):
    """One unit of work: each scoped object is made at most once in it and closed with it.

    It belongs to one task.
    """

    def __init__(self, container: RootScope, connection: HTTPConnection | None = None) -> None:
        super().__init__(container)
        self.container = container
        self.connection = connection

    def register(self, *_: Any, **__: Any) -> str:
        return ""  # a scope would register itself, which takes 14 times as long as the rest of it

    @property
    def singleton_instances(self) -> dict[str, ioc.DependencyNode]:
        return {}  # the library copies all of them for each `resolve`, and finds each without that

    async def resolve(self, wanted: type[T]) -> T:  # type: ignore[override]
        """Return the scope's `wanted`.

        Raise LookupError if nothing provides it, TypeError if it needs a request.
        """
        try:
            return await self.resolve_async(wanted)
        except ioc.CannotResolveError as error:
            raise providers.not_provided(wanted, self.container.places) from error

    async def __aenter__(self) -> "WorkScope":
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.error = error
        await super().__aexit__()  # type: ignore[no-untyped-call]
        del self.error, self.connection  # they refer to this scope: cycles for the GC


async def get_connection(graph: ioc.CurrentGraph) -> HTTPConnection:
    """Return the connection of the scope. Raise TypeError if no request opened it."""
    connection: HTTPConnection | None = getattr(graph.resolving_context.scope, "connection", None)
    if connection is None:
        raise TypeError("a factory takes 'connection' from a request; there is none here")
    connection.scope["app.connection_resolved"] = True  # what is made depends on it
    return connection


def _factory(provider: Provider, needs: dict[str, Any]) -> Provider:
    """Return a factory that runs a provider and hands the error of the scope to it."""

    async def make(graph: ioc.CurrentGraph) -> AsyncIterator[Any]:
        scope, stack = graph.resolving_context.scope, AsyncExitStack()
        arguments = {name: await scope.resolve_async(key) for name, key in needs.items()}
        yield await providers.run(provider, arguments, stack)
        await stack.__aexit__(*getattr(scope, "error", (None, None, None)))

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
    async with RootScope(overrides) as container:
        container.modules = modules
        container.register(KitSettings, instance=settings, lifespan=ioc.Lifespan.singleton)
        for module in modules:
            container.place = module.__name__
            if hasattr(module, "register"):
                module.register(container)
        asked = dict.fromkeys(container.singletons, "an override")
        for name, needed in providers.find_aliases(modules).items():
            asked[container.register_plain(*needed)] = name
        container.check(asked)
        await container.make_singletons()
        for provider, service in container.plain.items():
            if isinstance(provider, singleton):
                container.singletons[provider] = container.singletons[service]
            elif dependency_overrides is not None:
                dependency_overrides.setdefault(provider, Resolve(service).dependency)
        yield container
