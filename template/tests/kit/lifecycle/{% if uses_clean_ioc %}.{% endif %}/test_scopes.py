"""Scopes of the container, in requests and outside, also for slices with plain `Depends`."""

import gc
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Annotated, Any
from weakref import ref

import pytest
from clean_ioc import Lifespan
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from app.application import create_app
from app.kit import wiring as kit_wiring
from app.kit.errors import raises
from app.kit.lifecycle import Resolve, RootScope, WorkScope, open_root_scope, override
from app.settings import Settings
from tests.kit.helpers import open_client
from tests.kit.lifecycle import test_providers as plain
from tests.kit.lifecycle.test_providers import (
    Connection,
    ConnectionDep,
    Repository,
    module,
    open_slice,
    serve_slice,
)


class Leaf: ...


class Branch:
    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf


class Keeper:
    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection


@pytest.fixture
def container() -> RootScope:
    return RootScope()


async def test_connection_of_a_request_is_resolved_in_its_scope(container: RootScope) -> None:
    container.register(Keeper)
    connection = HTTPConnection({"type": "http"})
    async with WorkScope(container, connection) as scope:
        assert (await scope.resolve_async(Keeper)).connection is connection
    async with container.new_scope() as outside:
        with pytest.raises(TypeError, match="there is none here"):
            await outside.resolve(Keeper)


async def test_scope_of_a_request_ends_after_the_response(
    container: RootScope, settings: Settings
) -> None:
    """After the background tasks, also in a mounted app and after an error."""
    happened: list[str] = []

    async def make_leaf() -> AsyncIterator[Leaf]:
        happened.append("made")
        yield Leaf()
        happened.append("closed")

    container.register(Leaf, factory=make_leaf, lifespan=Lifespan.scoped)
    container.register(Branch, lifespan=Lifespan.scoped)
    app, mounted = create_app(settings), FastAPI()

    async def use(
        leaf: Annotated[Leaf, Resolve(Leaf)],
        branch: Annotated[Branch, Resolve(Branch)],
        tasks: BackgroundTasks,
    ) -> bool:
        tasks.add_task(happened.append, "behind")
        return branch.leaf is leaf

    async def fail(leaf: Annotated[Leaf, Resolve(Leaf)]) -> None:
        raise RuntimeError("later")

    app.get("/use")(use)
    app.get("/fail")(fail)
    mounted.get("/use")(use)
    app.mount("/mounted", mounted)
    app.router.lifespan_context = lambda _: nullcontext({"root_scope": container})
    async with open_client(app) as client:
        for path in ("/use", "/mounted/use"):
            assert (await client.get(path)).json() is True
            assert happened == ["made", "behind", "closed"]
            happened.clear()
        assert (await client.get("/fail")).status_code == 500
        assert happened == ["made", "closed"]


async def test_request_leaves_no_garbage(container: RootScope, settings: Settings) -> None:
    made: list[ref[Leaf]] = []
    container.register(Leaf, lifespan=Lifespan.scoped)
    app = create_app(settings)

    @app.get("/use")
    async def use(leaf: Annotated[Leaf, Resolve(Leaf)]) -> None:
        made.append(ref(leaf))

    app.router.lifespan_context = lambda _: nullcontext({"root_scope": container})
    async with open_client(app) as client:
        gc.disable()
        try:
            assert (await client.get("/use")).status_code == 200
            assert made[0]() is None
        finally:
            gc.enable()


class Registered:
    """A class of the container that needs what a plain provider makes."""

    def __init__(self, connection: Connection, repository: Repository) -> None:
        self.connection = connection
        self.repository = repository


def register(container: RootScope) -> None:
    container.register(Registered, lifespan=Lifespan.scoped)


REGISTERED = module("app.registered.dependencies", register=register)
RegisteredDep = Annotated[Registered, Resolve(Registered)]


def serve(settings: Settings, **options: list[object]) -> FastAPI:
    app = serve_slice(settings, plain.SLICE, REGISTERED, **options)  # type: ignore[arg-type]

    async def is_same(registered: RegisteredDep, connection: ConnectionDep) -> bool:
        return registered.connection is connection is registered.repository.connection

    async def is_same_in_another_order(
        connection: ConnectionDep, repository: plain.RepositoryDep, registered: RegisteredDep
    ) -> bool:
        return registered.connection is connection and registered.repository is repository

    @app.websocket("/socket")
    async def socket(
        websocket: WebSocket, registered: RegisteredDep, connection: ConnectionDep
    ) -> None:
        await websocket.accept()
        await websocket.send_json(registered.connection is connection)
        await websocket.close()

    @app.get("/fails")
    @raises(418)
    async def fails(registered: RegisteredDep) -> None:
        raise HTTPException(418)

    app.get("/same")(is_same)
    app.get("/other-order")(is_same_in_another_order)
    return app


def test_route_and_container_share_objects_of_plain_providers(settings: Settings) -> None:
    with TestClient(serve(settings)) as client:
        assert client.get("/same").json() is True
        assert client.get("/other-order").json() is True
        with client.websocket_connect("/socket") as websocket:
            assert websocket.receive_json() is True


async def test_scope_shares_objects_of_plain_providers(settings: Settings) -> None:
    async with (
        open_slice(settings, plain.SLICE, REGISTERED) as root_scope,
        root_scope.new_scope() as scope,
    ):
        registered = await scope.resolve(Registered)
        assert registered.connection is await scope.resolve(Connection)
        assert registered.repository is await scope.resolve(Repository)


async def test_error_of_a_request_reaches_providers_that_only_the_container_asked(
    settings: Settings,
) -> None:
    async with open_client(serve(settings)) as client:
        plain.events.clear()
        assert (await client.get("/fails")).status_code == 418
        assert plain.events == ["rolled back: HTTPException"]


async def test_override_reaches_route_and_container(settings: Settings) -> None:
    fake = Connection(plain.Pool())
    async with open_client(serve(settings, overrides=[override(Connection, fake)])) as client:
        assert (await client.get("/same")).json() is True


async def test_overrides_of_the_owner_stay(settings: Settings) -> None:
    app, fake = serve(settings), Connection(plain.Pool())
    app.dependency_overrides[plain.get_connection] = lambda: fake
    async with open_client(app) as client:
        assert (await client.get("/same")).json() is False


async def test_no_overrides_are_set_where_no_slice_is_plain(settings: Settings) -> None:
    """FastAPI is slower in every request with them."""
    overrides: dict[Any, Any] = {}
    async with open_root_scope(settings, [kit_wiring], dependency_overrides=overrides):
        assert overrides == {}
