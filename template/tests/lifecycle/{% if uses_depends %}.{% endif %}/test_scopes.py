"""Plain `Depends`, in requests and outside of them."""

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header
from httpx2 import AsyncClient

from app.application import create_app
from app.scopes import RootScope, RootScopeDep, singleton
from app.settings import Settings
from app.wiring import HttpClientDep, get_settings
from tests.helpers import open_client

events: list[str] = []


class Pool: ...


class Connection:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection


class Agent: ...


class Captive: ...


@singleton
async def get_pool() -> AsyncIterator[Pool]:
    events.append("pool opened")
    yield Pool()
    events.append("pool closed")


PoolDep = Annotated[Pool, Depends(get_pool)]


async def get_connection(pool: PoolDep) -> AsyncIterator[Connection]:
    events.append("connection opened")
    yield Connection(pool)
    events.append("connection closed")


ConnectionDep = Annotated[Connection, Depends(get_connection)]


def get_cursor(connection: ConnectionDep) -> Iterator[Cursor]:
    yield Cursor(connection)
    events.append("cursor closed")


CursorDep = Annotated[Cursor, Depends(get_cursor, use_cache=False)]


async def get_agent(user_agent: Annotated[str, Header()]) -> Agent:
    return Agent()


AgentDep = Annotated[Agent, Depends(get_agent)]


@singleton
async def get_captive(connection: ConnectionDep) -> Captive:
    return Captive()


CaptiveDep = Annotated[Captive, Depends(get_captive)]


def module(**aliases: object) -> ModuleType:
    made = ModuleType("dependencies")
    vars(made).update(aliases)
    return made


async def test_the_same_providers_run_outside_a_request(settings: Settings) -> None:
    events.clear()
    root_scope = RootScope(settings, [module(a=PoolDep, b=ConnectionDep, c=CursorDep)], [])
    async with root_scope.open():
        async with root_scope.new_scope() as scope:
            connection = await scope.resolve(Connection)
            assert await scope.resolve(Connection) is connection
            one, other = await scope.resolve(Cursor), await scope.resolve(Cursor)
            assert one is not other
            assert one.connection is connection
            assert await scope.resolve(Pool) is connection.pool
        async with root_scope.new_scope() as scope:
            assert (await scope.resolve(Connection)).pool is connection.pool
    assert events == [
        "pool opened",
        "connection opened",
        "cursor closed",
        "cursor closed",
        "connection closed",
        "connection opened",
        "connection closed",
        "pool closed",
    ]


async def test_a_provider_that_needs_a_request_says_so(settings: Settings) -> None:
    root_scope = RootScope(settings, [module(a=AgentDep)], [])
    async with root_scope.open(), root_scope.new_scope() as scope:
        with pytest.raises(TypeError, match="get_agent takes 'user_agent' from a request"):
            await scope.resolve(Agent)


async def test_a_singleton_may_not_keep_a_requests_object(settings: Settings) -> None:
    root_scope = RootScope(settings, [module(a=CaptiveDep, b=ConnectionDep, c=PoolDep)], [])
    with pytest.raises(TypeError, match="get_captive -> get_connection"):
        async with root_scope.open():
            pass


def test_two_providers_of_one_type_are_an_error(settings: Settings) -> None:
    async def get_other_agent() -> Agent:
        return Agent()

    other = Annotated[Agent, Depends(get_other_agent)]
    with pytest.raises(LookupError, match="Agent has two providers"):
        RootScope(settings, [module(a=AgentDep), module(a=other)], [])


async def test_dependency_overrides_work_as_everybody_knows_them(
    app: FastAPI, settings: Settings
) -> None:
    """In requests, and in the scopes that are opened beside them."""
    other = settings.model_copy(update={"log_level": "ERROR"})

    @app.get("/log-levels")
    async def log_levels(
        settings: Annotated[Settings, Depends(get_settings)], root_scope: RootScopeDep
    ) -> list[str]:
        async with root_scope.new_scope() as scope:
            return [settings.log_level, (await scope.resolve(Settings)).log_level]

    app.dependency_overrides[get_settings] = lambda: other
    async with open_client(app) as client:
        assert (await client.get("/log-levels")).json() == ["ERROR", "ERROR"]
    app.dependency_overrides.clear()
    async with open_client(app) as client:
        assert (await client.get("/log-levels")).json() == ["INFO", "INFO"]


async def test_singletons_are_made_from_what_is_overridden(settings: Settings) -> None:
    app = create_app(settings)
    other = settings.model_copy(update={"http_timeout": 1.5})

    @app.get("/timeout")
    async def timeout(http_client: HttpClientDep) -> float | None:
        return http_client.timeout.read

    app.dependency_overrides[get_settings] = lambda: other
    async with open_client(app) as client:
        assert (await client.get("/timeout")).json() == 1.5


def test_a_singleton_needs_an_alias(settings: Settings) -> None:
    with pytest.raises(LookupError, match=r"Depends\(get_pool\)"):
        RootScope(settings, [module(get_pool=get_pool)])


async def test_a_mounted_app_finds_the_root_scope(settings: Settings) -> None:
    app, mounted = create_app(settings), FastAPI()

    @mounted.get("/timeout")
    async def timeout(root_scope: RootScopeDep) -> bool:
        async with root_scope.new_scope() as scope:
            return not (await scope.resolve(AsyncClient)).is_closed

    app.mount("/mounted", mounted)
    async with open_client(app) as client:
        assert (await client.get("/mounted/timeout")).json() is True
