"""Scopes under the container (Clean IoC).

A class is registered once with its lifespan; its constructor resolves by itself. A request has a scope
of its own. Where there is no request (a job, a command, a WebSocket message), `RootScope.new_scope`
opens one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cache
from typing import Annotated, Any, TypeVar

import clean_ioc as ioc
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle.graph import OWN_TYPES, AppContainer
from app.kit.lifecycle.providers import cannot_resolve

T = TypeVar("T")

OPENED = "app.opened_scopes"
"""The key of an ASGI scope for a list with the scope of the request, if one is open."""

scope_error: ContextVar[BaseException | None] = ContextVar("scope_error", default=None)
"""The error that ended the scope which is being closed."""


class ObjectScope(ioc.ChildScope):
    """A child scope that does not register itself, which would be more than half of its cost."""

    def __init__(self, container: AppContainer, connection: HTTPConnection | None = None) -> None:
        super().__init__(container)
        self.container = container
        self.connection = connection
        self.error: BaseException | None = None

    def register(self, service_type: Any, *arguments: Any, **options: Any) -> str:
        if service_type in OWN_TYPES:
            return ""
        return super().register(service_type, *arguments, **options)

    async def __aexit__(self, *error: Any) -> None:
        token = scope_error.set(self.error or error[1])
        try:
            await super().__aexit__()  # type: ignore[no-untyped-call]
        finally:
            scope_error.reset(token)


class WorkScope:
    """One unit of work: each scoped object is made at most once in it and closed with it."""

    def __init__(self, scope: ObjectScope) -> None:
        self._scope = scope

    async def resolve(self, wanted: type[T]) -> T:
        """Return the scope's `wanted`.

        Raise LookupError if nothing provides it, TypeError if it needs a request.
        """
        try:
            return await self._scope.resolve_async(wanted)
        except ioc.CannotResolveError as error:
            raise cannot_resolve(wanted, self._scope.container.places) from error


class RootScope:
    """The life of the app: the container with its singletons, and the scopes opened from it."""

    def __init__(self, container: AppContainer) -> None:
        self.container = container
        self.singletons: dict[Any, Any] = {}
        """The objects of the singletons by type or provider; a request takes them from here."""

    @asynccontextmanager
    async def new_scope(self) -> AsyncIterator[WorkScope]:
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        async with ObjectScope(self.container) as scope:
            yield WorkScope(scope)


async def get_root_scope(connection: HTTPConnection) -> RootScope:
    root_scope: RootScope = connection.scope["state"]["root_scope"]
    return root_scope


RootScopeDep = Annotated[RootScope, Depends(get_root_scope)]


def get_scope(connection: HTTPConnection) -> ObjectScope:
    """Return the scope of a request or a WebSocket; open it at the first call."""
    opened: list[ObjectScope] = connection.scope[OPENED]
    if not opened:
        root_scope: RootScope = connection.scope["state"]["root_scope"]
        opened.append(ObjectScope(root_scope.container, connection))
    return opened[0]


async def get_connection(graph: ioc.CurrentGraph) -> HTTPConnection:
    """Return the connection of the scope. Raise TypeError if no request opened it."""
    connection: HTTPConnection | None = getattr(graph.resolving_context.scope, "connection", None)
    if connection is None:
        raise TypeError("a factory takes 'connection' from a request; there is none here")
    return connection


class Resolved:
    """The dependency behind `Resolve`."""

    def __init__(self, wanted: Any) -> None:
        self.wanted = wanted

    async def __call__(self, connection: HTTPConnection) -> Any:
        root_scope: RootScope = connection.scope["state"]["root_scope"]
        if self.wanted in root_scope.singletons:
            return root_scope.singletons[self.wanted]
        return await get_scope(connection).resolve_async(self.wanted)


@cache
def Resolve(wanted: Any) -> Any:  # noqa: N802 (reads as `Depends` does)
    """Return a FastAPI dependency on what the container resolves for `wanted`."""
    return Depends(Resolved(wanted), use_cache=False)  # the container knows what is made once
