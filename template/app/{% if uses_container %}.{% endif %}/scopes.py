"""How long objects live under the container (Clean IoC).

A class is registered once, with its lifespan; constructors resolve by themselves. A request gets a scope
of its own. Where there is no request (a job, a command, a WebSocket message), `RootScope.new_scope` opens one.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from clean_ioc import ChildScope, Container, Registrator, Resolver, ScopeCreator
from clean_ioc import Scope as ContainerScope
from fastapi import Depends
from starlette.requests import HTTPConnection

T = TypeVar("T")
Provider = Callable[..., Any]

_OF_THE_SCOPE = (ScopeCreator, Resolver, Registrator, ContainerScope)


class LazyScope(ChildScope):
    """A child scope that registers itself when it is first asked for.

    The stock one does so at once, under four types, which is most of what a scope costs a request.
    """

    _registered = False

    def __init__(self, parent: ContainerScope, connection: HTTPConnection | None = None) -> None:
        super().__init__(parent)
        self.connection = connection

    def register(
        self, service_type: type[T], implementation_type: type[T] | None = None, **options: Any
    ) -> str:
        if service_type in _OF_THE_SCOPE and not self._registered:
            return ""
        return super().register(service_type, implementation_type, **options)

    def find_registrations(self, *, service_type: type[Any], **options: Any) -> list[Any]:
        if service_type in _OF_THE_SCOPE and not self._registered:
            self._registered = True
            for own_type in _OF_THE_SCOPE:
                self.register(own_type, instance=self)
        return super().find_registrations(service_type=service_type, **options)

    def new_scope(self) -> ContainerScope:
        return LazyScope(self, self.connection)


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

    def __init__(self, container: Container) -> None:
        self.container = container

    @asynccontextmanager
    async def new_scope(self) -> AsyncIterator[Scope]:
        """Open a scope for one unit of work: a job, a WebSocket message, a stream."""
        async with LazyScope(self.container) as scope:
            yield Scope(scope)


async def get_root_scope(connection: HTTPConnection) -> RootScope:
    root_scope: RootScope = connection.scope["state"]["root_scope"]
    return root_scope


RootScopeDep = Annotated[RootScope, Depends(get_root_scope)]


async def get_scope(root_scope: RootScopeDep, connection: HTTPConnection) -> AsyncIterator[Scope]:
    async with LazyScope(root_scope.container, connection) as scope:
        yield Scope(scope)


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

    async def __call__(self, scope: Annotated[Scope, Depends(get_scope)]) -> Any:
        return await scope.resolve(self.wanted)


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
