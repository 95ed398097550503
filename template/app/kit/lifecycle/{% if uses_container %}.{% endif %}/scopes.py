"""Scopes under the container (Clean IoC).

A class is registered once with its lifespan; its constructor resolves by itself. A request has a
scope of its own. Where there is no request (a job, a command, a WebSocket message),
`RootScope.new_scope` opens one.
"""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import cache
from graphlib import TopologicalSorter
from typing import Annotated, Any, TypeVar, cast

import clean_ioc as ioc
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle.overrides import Override
from app.kit.lifecycle.providers import Provider, cannot_resolve

T = TypeVar("T")

_ANY_PARENT = ioc.DependencyNode(object, object, ioc.Lifespan.transient)
_OPENED = "app.work_scope"


class RootScope(ioc.Container):
    """The life of the app: Clean IoC's container, its singletons, and the scopes opened from it."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self.fakes = dict(overrides)
        self.places: dict[Any, list[str]] = {}
        """Where each type is registered: the names of modules and providers."""
        self.place = "the kit"
        """Where the next type is registered."""
        self.plain: dict[Provider, Any] = {}
        """The plain providers that the container runs, and the type of each."""
        self.graph: TopologicalSorter[Any] = TopologicalSorter()
        """What each type needs."""
        self.singletons: dict[Any, Any] = {}
        """The objects of the singletons by type or provider; a request takes them from here."""
        super().__init__()  # type: ignore[no-untyped-call]
        # Of the library's own types, services may ask for those that say who asks, not for scopes.
        self.places = {ioc.CurrentGraph: [], ioc.DependencyContext: []}
        self.register(HTTPConnection, factory=get_connection, lifespan=ioc.Lifespan.scoped)
        self.register(RootScope, instance=self, lifespan=ioc.Lifespan.singleton)
        for service, fake in self.fakes.items():
            super().register(service, instance=fake, lifespan=ioc.Lifespan.singleton)

    def register(self, service_type: Any, *arguments: Any, **options: Any) -> str:
        for each in {service_type, *arguments}:
            self.places.setdefault(each, []).append(self.place)
        if service_type in self.fakes:
            return ""  # one fake replaces all, also in a `list[...]`
        return super().register(service_type, *arguments, **options)

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

    async def resolve(self, wanted: type[T]) -> T:  # type: ignore[override]
        """Return the scope's `wanted`.

        Raise LookupError if nothing provides it, TypeError if it needs a request.
        """
        try:
            return await self.resolve_async(wanted)
        except ioc.CannotResolveError as error:
            raise cannot_resolve(wanted, self.container.places) from error

    async def __aenter__(self) -> "WorkScope":
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.error = error
        await super().__aexit__()  # type: ignore[no-untyped-call]
        del self.error  # its traceback refers to this scope


def get_scope(connection: HTTPConnection) -> WorkScope:
    """Return the scope of a request or a WebSocket; open it at the first call.

    It closes with FastAPI's dependencies with `yield`, after the response.
    """
    asgi_scope = connection.scope
    if _OPENED not in asgi_scope:
        asgi_scope[_OPENED] = WorkScope(asgi_scope["state"]["root_scope"], connection)
        stack: AsyncExitStack = asgi_scope["fastapi_inner_astack"]
        stack.push_async_exit(asgi_scope[_OPENED])
        stack.callback(asgi_scope.pop, _OPENED)  # leaves no cycle to the garbage collector
    return cast("WorkScope", asgi_scope[_OPENED])


async def get_connection(graph: ioc.CurrentGraph) -> HTTPConnection:
    """Return the connection of the scope. Raise TypeError if no request opened it."""
    connection: HTTPConnection | None = getattr(graph.resolving_context.scope, "connection", None)
    if connection is None:
        raise TypeError("a factory takes 'connection' from a request; there is none here")
    connection.scope["app.connection_resolved"] = True  # what is made depends on it
    return connection


@cache
def Resolve(wanted: Any) -> Any:  # noqa: N802 (reads as `Depends` does)
    """Return a FastAPI dependency on what the container resolves for `wanted`."""

    async def resolve(connection: HTTPConnection) -> Any:
        singletons = connection.scope["state"]["root_scope"].singletons
        if wanted in singletons:
            return singletons[wanted]
        return await get_scope(connection).resolve(wanted)

    return Depends(resolve, use_cache=False)  # the container keeps the objects


RootScopeDep = Annotated[RootScope, Resolve(RootScope)]
