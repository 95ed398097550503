"""How long objects live under the container (Clean IoC).

A class is registered once, with its lifespan; constructors resolve by themselves. A request gets a scope
of its own. Where there is no request (a job, a command, a WebSocket message), `RootScope.new_scope` opens one.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from clean_ioc import ChildScope, Container, Registrator, Resolver, ScopeCreator
from clean_ioc import Scope as ContainerScope
from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

T = TypeVar("T")
Provider = Callable[..., Any]

_OPENED = "app.opened_scopes"
_OF_THE_SCOPE = (ScopeCreator, Resolver, Registrator, ContainerScope)


class LazyScope(ChildScope):
    """A child scope that holds no registration, not even its own four, until it needs one.

    The stock one registers itself at once and looks for everything in itself first: half of what a scope costs a request.
    """

    _empty = True

    def __init__(self, parent: ContainerScope, connection: HTTPConnection | None = None) -> None:
        super().__init__(parent)
        self.connection = connection

    def _fill(self) -> None:
        if self._empty:
            self._empty = False
            for own_type in _OF_THE_SCOPE:
                self.register(own_type, instance=self)

    def register(
        self, service_type: type[T], implementation_type: type[T] | None = None, **options: Any
    ) -> str:
        if self._empty and service_type in _OF_THE_SCOPE:
            return ""
        self._fill()
        return super().register(service_type, implementation_type, **options)

    def register_decorator(self, *arguments: Any, **options: Any) -> None:
        self._fill()
        super().register_decorator(*arguments, **options)

    def pre_configure(self, *arguments: Any, **options: Any) -> None:
        self._fill()
        super().pre_configure(*arguments, **options)

    def find_registrations(self, *, service_type: type[Any], **options: Any) -> list[Any]:
        if service_type in _OF_THE_SCOPE:
            self._fill()
        if self._empty:
            return self._parent_scope.find_registrations(service_type=service_type, **options)
        return super().find_registrations(service_type=service_type, **options)

    def find_decorators(self, **options: Any) -> list[Any]:
        if self._empty:
            return self._parent_scope.find_decorators(**options)
        return super().find_decorators(**options)

    def find_pre_configurations(self, **options: Any) -> Any:
        if self._empty:
            return self._parent_scope.find_pre_configurations(**options)
        return super().find_pre_configurations(**options)

    def new_scope(self) -> ContainerScope:
        return LazyScope(self, self.connection)

    async def close(self) -> None:
        """Close what was made in it, the last first."""
        await self.__aexit__()  # type: ignore[no-untyped-call]


class Scope:
    """One unit of work: everything scoped is made at most once in it, and closed with it."""

    def __init__(self, scope: ContainerScope) -> None:
        self._scope = scope

    async def resolve(self, wanted: type[T]) -> T:
        """Return the scope's `wanted`.

        Raises `clean_ioc.core.CannotResolveError` if nothing registers it, TypeError if it needs a request.
        """
        return await self._scope.resolve_async(wanted)


class RootScope:
    """The app's life: the container with its singletons, and the scopes opened from it."""

    def __init__(
        self, container: Container, singletons: Mapping[type[Any], Any] | None = None
    ) -> None:
        self.container = container
        self.singletons = singletons or {}
        """Those that are made, by their type: a request takes them from here."""

    @asynccontextmanager
    async def new_scope(self) -> AsyncIterator[Scope]:
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        async with LazyScope(self.container) as scope:
            yield Scope(scope)


async def get_root_scope(connection: HTTPConnection) -> RootScope:
    root_scope: RootScope = connection.scope["state"]["root_scope"]
    return root_scope


RootScopeDep = Annotated[RootScope, Depends(get_root_scope)]


class RequestScopes:
    """Pure ASGI. Gives a request, or a WebSocket, a scope of its own when something is first resolved for it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        # A list, which copies of the ASGI scope share.
        opened: list[LazyScope] = []
        scope[_OPENED] = opened
        try:
            await self.app(scope, receive, send)
        finally:
            while opened:  # emptied: each refers to its connection, and that to this list
                await opened.pop().close()


def get_scope(connection: HTTPConnection) -> Scope:
    """Return the scope of a request, which is closed when the response and what runs behind it have ended."""
    opened: list[LazyScope] = connection.scope[_OPENED]
    if not opened:
        root_scope: RootScope = connection.scope["state"]["root_scope"]
        opened.append(LazyScope(root_scope.container, connection))
    return Scope(opened[0])


async def get_connection(scope: ContainerScope) -> HTTPConnection:
    """Return what a factory with a parameter `connection: HTTPConnection` gets.

    Raises TypeError in a scope that no request has opened.
    """
    if isinstance(scope, LazyScope) and scope.connection is not None:
        return scope.connection
    raise TypeError("a factory takes 'connection' from a request; there is none here")


class Resolved:
    """The dependency behind `Resolve`: what the request's scope resolves for one type."""

    def __init__(self, wanted: type[Any]) -> None:
        self.wanted = wanted

    async def __call__(self, connection: HTTPConnection) -> Any:
        root_scope: RootScope = connection.scope["state"]["root_scope"]
        if self.wanted in root_scope.singletons:
            return root_scope.singletons[self.wanted]
        return await get_scope(connection).resolve(self.wanted)


class Singleton(Resolved):
    """A provider of plain `Depends` that the container runs once, for the app's life."""

    def __init__(self, provider: Provider) -> None:
        made = get_type_hints(provider)["return"]
        super().__init__(get_args(made)[0] if inspect.isasyncgenfunction(provider) else made)
        self.provider = provider


def singleton(provider: Provider) -> Singleton:
    """Decorate a provider whose object is made once, when the root scope opens."""
    return Singleton(provider)


def Resolve(wanted: type[Any]) -> Any:  # noqa: N802 (reads as `Depends` does)
    """Return a FastAPI dependency on what the container resolves for `wanted`."""
    return Depends(Resolved(wanted), use_cache=False)  # the container knows what is made once
