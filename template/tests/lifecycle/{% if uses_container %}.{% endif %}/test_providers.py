"""A slice with plain `Depends`, beside the container."""

import sys
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from clean_ioc import Lifespan
from fastapi import Depends, FastAPI, Header
from fastapi.testclient import TestClient

from app.application import create_app
from app.graph import AppContainer, check
from app.overrides import Override, override
from app.providers import register_providers
from app.scopes import RootScope, singleton
from app.settings import Settings
from app.wiring import SettingsDep

events: list[str] = []


class Pool: ...


class Connection:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection


class Agent: ...


@singleton
async def get_pool(settings: SettingsDep) -> AsyncIterator[Pool]:
    yield Pool()
    events.append("pool closed")


PoolDep = Annotated[Pool, Depends(get_pool)]


async def get_connection(pool: PoolDep) -> AsyncIterator[Connection]:
    yield Connection(pool)
    events.append("connection closed")


ConnectionDep = Annotated[Connection, Depends(get_connection)]


async def get_cursor(connection: ConnectionDep) -> Cursor:
    return Cursor(connection)


CursorDep = Annotated[Cursor, Depends(get_cursor, use_cache=False)]


async def get_agent(user_agent: Annotated[str, Header()]) -> Agent:
    return Agent()


AgentDep = Annotated[Agent, Depends(get_agent)]

THIS = sys.modules[__name__]


async def test_what_providers_make_is_resolved(settings: Settings) -> None:
    events.clear()
    async with AppContainer() as container:
        container.register(Settings, instance=settings, lifespan=Lifespan.singleton)
        register_providers(container, THIS)
        assert check(container) == [Settings, Pool]
        assert Agent not in container.registered  # only a request can make one
        root_scope, cursors = RootScope(container), []
        for _ in range(2):
            async with root_scope.new_scope() as scope:
                cursors += [await scope.resolve(Cursor), await scope.resolve(Cursor)]
        connections = [cursor.connection for cursor in cursors]
        assert len(set(cursors)) == 4
        assert len(set(connections)) == 2
        assert len({connection.pool for connection in connections}) == 1
        assert events == ["connection closed"] * 2
    assert events[2:] == ["pool closed"]


async def test_what_is_registered_goes_first() -> None:
    container, pool = AppContainer(), Pool()
    container.register(Pool, instance=pool)
    register_providers(container, THIS)
    async with RootScope(container).new_scope() as scope:
        assert await scope.resolve(Pool) is pool


@pytest.fixture
def app(settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """With the providers above for a slice."""
    before = sys.modules["app.wiring"].__dict__["slice_modules"]
    monkeypatch.setattr(
        "app.wiring.slice_modules",
        lambda name: [*before(name), *([THIS] * (name == "dependencies"))],
    )
    app = create_app(settings, overrides)

    @app.get("/same")
    async def same(cursor: CursorDep, connection: ConnectionDep, pool: PoolDep) -> list[bool]:
        return [cursor.connection is connection, connection.pool is pool]

    return app


@pytest.fixture
def fakes() -> tuple[Pool, Connection]:
    pool = Pool()
    return pool, Connection(pool)


def test_routes_get_it_too(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/same").json() == [True, True]


@pytest.mark.parametrize("number", [0, 1])
def test_a_fake_takes_its_place_everywhere(
    app: FastAPI, overrides: list[Override], fakes: tuple[Pool, Connection], number: int
) -> None:
    fake = fakes[number]

    @app.get("/faked")
    async def faked(pool: PoolDep, connection: ConnectionDep) -> bool:
        return fake in (pool, connection)

    overrides.append(override(type(fake), fake))
    with TestClient(app) as client:
        assert client.get("/faked").json() is True
