"""Plain providers of a slice, which work the same under every lifecycle."""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Query, WebSocket
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

import app.kit.wiring
import app.wiring
from app.kit.errors import raises
from app.kit.lifecycle import Override, RootScope, RootScopeDep, WiringError, override, singleton
from app.kit.lifecycle import open_root_scope as open_with
from app.kit.web import KitApp, create_lifespan, kit_middleware
from app.settings import Settings
from app.wiring import SettingsDep
from tests.kit.helpers import open_client

events: list[str] = []


class Pool: ...


class Connection:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


class Repository:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection


class Agent:
    def __init__(self, name: str) -> None:
        self.name = name


@singleton
async def get_pool(settings: SettingsDep) -> AsyncIterator[Pool]:
    events.append("pool opened")
    yield Pool()
    events.append("pool closed")


PoolDep = Annotated[Pool, Depends(get_pool)]


async def get_connection(pool: PoolDep) -> AsyncIterator[Connection]:
    try:
        yield Connection(pool)
    except Exception as error:
        events.append(f"rolled back: {type(error).__name__}")
        raise
    else:
        events.append("committed")


ConnectionDep = Annotated[Connection, Depends(get_connection)]


async def get_repository(connection: ConnectionDep) -> Repository:
    return Repository(connection)


RepositoryDep = Annotated[Repository, Depends(get_repository)]


def get_cursor(connection: ConnectionDep) -> Iterator[Cursor]:
    yield Cursor(connection)
    events.append("cursor closed")


CursorDep = Annotated[Cursor, Depends(get_cursor, use_cache=False)]


async def get_agent(user_agent: Annotated[str, Header()]) -> Agent:
    return Agent(user_agent)


AgentDep = Annotated[Agent, Depends(get_agent)]


async def get_client_ip() -> str:
    return "192.0.2.1"


async def get_region() -> str:
    return "north"


ClientIpDep = Annotated[str, Depends(get_client_ip)]
RegionDep = Annotated[str, Depends(get_region)]

SLICE = sys.modules[__name__]


def module(name: str = "made_up", **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def open_slice(
    settings: Settings, *slices: ModuleType, overrides: Sequence[Override] = ()
) -> AbstractAsyncContextManager[RootScope]:
    return open_with(settings, [app.kit.wiring, app.wiring, *slices], overrides)


def serve_slice(
    settings: Settings, *slices: ModuleType, overrides: Sequence[Override] = ()
) -> FastAPI:
    modules = [app.kit.wiring, app.wiring, *slices]
    return KitApp(
        settings,
        lifespan=create_lifespan(settings, modules, overrides),
        middleware=kit_middleware(settings),
    )


async def test_scope_makes_each_object_once_and_closes_it(settings: Settings) -> None:
    events.clear()
    async with open_slice(settings, SLICE) as root_scope:
        assert events == ["pool opened"]
        async with root_scope.new_scope() as scope:
            connection = await scope.resolve(Connection)
            assert await scope.resolve(Connection) is connection
            assert (await scope.resolve(Repository)).connection is connection
            one, other = await scope.resolve(Cursor), await scope.resolve(Cursor)
            assert one is not other
            assert one.connection is connection
            assert await scope.resolve(Pool) is connection.pool
        assert events == ["pool opened", "cursor closed", "cursor closed", "committed"]
        events.clear()
        async with root_scope.new_scope() as scope:
            other_connection = await scope.resolve(Connection)
            assert other_connection is not connection
            assert other_connection.pool is connection.pool
    assert events == ["committed", "pool closed"]


async def test_error_in_a_scope_reaches_its_providers(settings: Settings) -> None:
    events.clear()
    async with open_slice(settings, SLICE) as root_scope:
        with pytest.raises(KeyError):
            async with root_scope.new_scope() as scope:
                await scope.resolve(Repository)
                raise KeyError("later")
    assert events == ["pool opened", "rolled back: KeyError", "pool closed"]


async def test_scope_opened_while_an_error_is_handled_may_succeed(settings: Settings) -> None:
    async with open_slice(settings, SLICE) as root_scope:
        events.clear()
        try:
            raise KeyError("earlier")
        except KeyError:
            async with root_scope.new_scope() as scope:
                await scope.resolve(Repository)
        assert events == ["committed"]


async def test_request_has_one_object_of_each_type(settings: Settings) -> None:
    service = serve_slice(settings, SLICE)

    @service.get("/same")
    async def same(
        repository: RepositoryDep, connection: ConnectionDep, pool: PoolDep
    ) -> list[bool]:
        return [repository.connection is connection, connection.pool is pool]

    @service.get("/transient")
    async def transient(one: CursorDep, other: CursorDep) -> list[bool]:
        return [one is other, one.connection is other.connection]

    async with open_client(service) as client:
        assert (await client.get("/same")).json() == [True, True]
        assert (await client.get("/transient")).json() == [False, True]


async def test_error_of_a_request_reaches_its_providers(settings: Settings) -> None:
    service = serve_slice(settings, SLICE)

    @service.get("/fails")
    @raises(418)
    async def fails(repository: RepositoryDep) -> None:
        raise HTTPException(418)

    @service.get("/succeeds")
    async def succeeds(repository: RepositoryDep) -> None: ...

    async with open_client(service) as client:
        events.clear()
        assert (await client.get("/fails")).status_code == 418
        assert events == ["rolled back: HTTPException"]
        events.clear()
        assert (await client.get("/succeeds")).status_code == 200
        assert events == ["committed"]


async def test_route_can_take_objects_of_the_request(settings: Settings) -> None:
    service = serve_slice(settings, SLICE)

    @service.get("/agent")
    async def agent(agent: AgentDep, client_ip: ClientIpDep, region: RegionDep) -> list[str]:
        return [agent.name, client_ip, region]

    async with open_client(service) as client:
        answer = await client.get("/agent", headers={"User-Agent": "curl"})
        assert answer.json() == ["curl", "192.0.2.1", "north"]
    async with open_slice(settings, SLICE) as root_scope, root_scope.new_scope() as scope:
        with pytest.raises((TypeError, LookupError), match=r"Agent|get_agent"):
            await scope.resolve(Agent)


async def test_parameter_of_a_request_has_no_default_outside_of_one(settings: Settings) -> None:
    async def get_page(number: int = Query(1)) -> Agent:
        return Agent(f"page {number}")

    slice_ = module(PageDep=Annotated[Agent, Depends(get_page)])
    async with open_slice(settings, slice_) as root_scope, root_scope.new_scope() as scope:
        with pytest.raises((TypeError, LookupError), match=r"Agent|get_page"):
            await scope.resolve(Agent)


@pytest.mark.parametrize("fake", [Pool(), Connection(Pool()), Agent("fake")])
def test_override_reaches_requests_sockets_and_scopes(
    settings: Settings, fake: Pool | Connection | Agent
) -> None:
    service = serve_slice(settings, SLICE, overrides=[override(type(fake), fake)])

    @service.get("/faked")
    async def faked(
        pool: PoolDep, repository: RepositoryDep, agent: AgentDep, root_scope: RootScopeDep
    ) -> list[bool]:
        async with root_scope.new_scope() as scope:
            resolved = await scope.resolve(type(fake)) is fake
        return [fake in (pool, repository.connection, agent), resolved]

    @service.websocket("/faked")
    async def socket(
        websocket: WebSocket, pool: PoolDep, repository: RepositoryDep, agent: AgentDep
    ) -> None:
        await websocket.accept()
        await websocket.send_json(fake in (pool, repository.connection, agent))
        await websocket.close()

    with TestClient(service) as client:
        assert client.get("/faked").json() == [True, True]
        with client.websocket_connect("/faked") as websocket:
            assert websocket.receive_json() is True


async def test_plain_types_may_have_several_providers_but_are_not_resolved(
    settings: Settings,
) -> None:
    async with open_slice(settings, SLICE) as root_scope, root_scope.new_scope() as scope:
        with pytest.raises(LookupError, match="needs str, which nothing provides"):
            await scope.resolve(str)
    with pytest.raises(LookupError, match="needs str, which nothing provides"):
        async with open_slice(settings, SLICE, overrides=[override(str, "fake")]):
            pass


async def test_singletons_of_plain_types_are_made(settings: Settings) -> None:
    @singleton
    async def get_words() -> list[str]:
        return ["one"]

    words_dep = Annotated[list[str], Depends(get_words)]
    service = serve_slice(settings, module(WordsDep=words_dep))

    @service.get("/words")
    async def words(words: words_dep) -> list[str]:
        return words

    async with open_client(service) as client:
        assert (await client.get("/words")).json() == ["one"]


async def test_providers_may_need_others_without_an_alias_and_take_defaults(
    settings: Settings,
) -> None:
    async def get_other(repository: Annotated[Repository, Depends(get_repository)]) -> Cursor:
        return Cursor(repository.connection)

    def get_captain(cursor: Cursor = Depends(get_other)) -> Agent:  # noqa: B008
        assert isinstance(cursor.connection, Connection)
        return Agent("captain")

    slice_ = module(CaptainDep=Annotated[Agent, Depends(get_captain)])
    async with open_slice(settings, slice_) as root_scope, root_scope.new_scope() as scope:
        assert (await scope.resolve(Agent)).name == "captain"


async def test_providers_may_need_plain_types_of_others(settings: Settings) -> None:
    async def get_agent_of(region: RegionDep) -> Agent:
        return Agent(region)

    slice_ = module(AgentOfDep=Annotated[Agent, Depends(get_agent_of)])
    async with open_slice(settings, slice_) as root_scope, root_scope.new_scope() as scope:
        assert (await scope.resolve(Agent)).name == "north"


async def raises_wiring_error(settings: Settings, *slices: ModuleType) -> str:
    """Return the message of the error with which a service does not start."""
    with pytest.raises(WiringError) as raised:
        async with open_slice(settings, *slices):
            pass
    return str(raised.value)


async def test_two_providers_of_a_type_are_both_named(settings: Settings) -> None:
    async def get_other_pool() -> Pool:
        return Pool()

    other = module(OtherPoolDep=Annotated[Pool, Depends(get_other_pool)])
    message = await raises_wiring_error(settings, SLICE, other)
    assert "test_providers.py: get_pool" in message
    assert "test_providers.py: get_other_pool" in message


async def test_singleton_without_an_alias_is_named_with_its_remedy(settings: Settings) -> None:
    message = await raises_wiring_error(settings, module(get_pool=get_pool))
    assert "get_pool is a singleton without an alias: write `...Dep = Annotated[" in message


async def test_singleton_is_opened_after_and_closed_before_what_it_needs(
    settings: Settings,
) -> None:
    @singleton
    async def get_shared(pool: PoolDep) -> AsyncIterator[Connection]:
        events.append("connection opened")
        yield Connection(pool)
        events.append("connection closed")

    dependent = module(SharedDep=Annotated[Connection, Depends(get_shared)])
    events.clear()
    async with open_slice(settings, dependent, module(PoolDep=PoolDep)):
        pass
    assert events == ["pool opened", "connection opened", "connection closed", "pool closed"]


async def test_singleton_of_an_unlisted_slice_is_named_with_its_remedy(settings: Settings) -> None:
    @singleton
    async def get_unlisted() -> Pool:
        return Pool()

    async with open_slice(settings, SLICE) as root_scope:
        connection = HTTPConnection({"type": "http", "state": {"root_scope": root_scope}})
        with pytest.raises(
            WiringError, match="get_unlisted was not made at start: name its module"
        ):
            await get_unlisted(connection)


async def test_singleton_of_an_unlisted_slice_lives_as_long_as_the_app(settings: Settings) -> None:
    async def get_user_of(pool: PoolDep) -> Cursor:
        return Cursor(Connection(pool))

    events.clear()
    slice_ = module(CursorDep=Annotated[Cursor, Depends(get_user_of)])
    async with open_slice(settings, slice_) as root_scope:
        async with root_scope.new_scope() as scope:
            one = await scope.resolve(Cursor)
        assert "pool closed" not in events
        async with root_scope.new_scope() as scope:
            assert (await scope.resolve(Cursor)).connection.pool is one.connection.pool
    assert events[-1] == "pool closed"


async def test_list_without_an_alias_provides_no_member(settings: Settings) -> None:
    async def get_agents() -> list[Agent]:
        return [Agent("north")]

    async def get_pool_of(agents: list[Agent] = Depends(get_agents)) -> Cursor:  # noqa: B008
        return Cursor(Connection(Pool()))

    slice_ = module(CursorDep=Annotated[Cursor, Depends(get_pool_of)])
    async with open_slice(settings, slice_) as root_scope, root_scope.new_scope() as scope:
        assert isinstance(await scope.resolve(Cursor), Cursor)
        with pytest.raises(LookupError, match="needs Agent, which nothing provides"):
            await scope.resolve(Agent)


async def test_singleton_must_not_keep_an_object_of_a_scope(settings: Settings) -> None:
    @singleton
    async def get_keeper(repository: RepositoryDep) -> Cursor:
        return Cursor(repository.connection)

    slice_ = module(RepositoryDep=RepositoryDep, KeeperDep=Annotated[Cursor, Depends(get_keeper)])
    message = await raises_wiring_error(settings, slice_)
    assert "get_keeper" in message or "Cursor" in message


async def test_singleton_must_not_need_a_request(settings: Settings) -> None:
    @singleton
    async def get_keeper(user_agent: Annotated[str, Header()]) -> Agent:
        return Agent(user_agent)

    slice_ = module(KeeperDep=Annotated[Agent, Depends(get_keeper)])
    with pytest.raises((WiringError, TypeError), match=r"get_keeper .* request"):
        async with open_slice(settings, slice_):
            pass
