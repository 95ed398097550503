"""The container: what its graph check finds, and where its scopes reach."""

import gc
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Annotated
from weakref import ref

import pytest
from clean_ioc import Lifespan
from clean_ioc import Scope as ContainerScope
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.testclient import TestClient
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection

from app.application import create_app
from app.graph import AppContainer, GraphError, check
from app.scopes import LazyScope, Resolve, RootScope, RootScopeDep, get_connection
from app.settings import Settings
from app.wiring import HttpClientDep
from tests.helpers import open_client


class Leaf: ...


class Branch:
    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf


class Tree:
    def __init__(self, branch: Branch) -> None:
        self.branch = branch


class Hen:
    def __init__(self, egg: "Egg") -> None: ...


class Egg:
    def __init__(self, hen: Hen) -> None: ...


class Optional:
    def __init__(self, leaf: Leaf | None = None) -> None: ...


class Collection:
    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves


@pytest.fixture
def container() -> AppContainer:
    return AppContainer()


def test_what_is_missing_is_named_with_its_path(container: AppContainer) -> None:
    container.register(Tree)
    container.register(Branch)
    with pytest.raises(GraphError, match="not registered: Tree -> Branch -> Leaf"):
        check(container)


class Keeper:
    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection


async def test_what_is_made_from_a_request_is_made_in_its_scope(container: AppContainer) -> None:
    container.register(HTTPConnection, factory=get_connection, lifespan=Lifespan.scoped)
    container.register(Keeper)
    connection = HTTPConnection({"type": "http"})
    async with LazyScope(container, connection) as scope:
        async with scope.new_scope() as inner:
            assert (await inner.resolve_async(Keeper)).connection is connection
        assert (await scope.resolve_async(Keeper)).connection is connection
    async with RootScope(container).new_scope() as outside:
        with pytest.raises(TypeError, match="there is none here"):
            await outside.resolve(Keeper)


def test_no_singleton_keeps_a_request(container: AppContainer) -> None:
    container.register(HTTPConnection, factory=get_connection, lifespan=Lifespan.scoped)
    container.register(Keeper, lifespan=Lifespan.singleton)
    with pytest.raises(GraphError, match="would keep a scoped object: Keeper -> HTTPConnection"):
        check(container)


def test_what_a_route_asks_for_must_be_registered(container: AppContainer) -> None:
    with pytest.raises(GraphError, match="not registered: Leaf"):
        check(container, [Leaf])


def test_a_cycle_is_named_with_its_path(container: AppContainer) -> None:
    container.register(Hen)
    container.register(Egg)
    with pytest.raises(GraphError, match="cycle: Hen -> Egg -> Hen"):
        check(container)


def test_a_singleton_may_not_keep_a_scoped_object(container: AppContainer) -> None:
    container.register(Leaf, lifespan=Lifespan.scoped)
    container.register(Branch)
    container.register(Tree, lifespan=Lifespan.singleton)
    with pytest.raises(GraphError, match="scoped object: Tree -> Branch -> Leaf"):
        check(container)


def test_neither_may_a_singletons_collection(container: AppContainer) -> None:
    container.register(Collection, lifespan=Lifespan.singleton)
    check(container)
    container.register(Leaf, lifespan=Lifespan.scoped)
    with pytest.raises(GraphError, match="scoped object: Collection -> Leaf"):
        check(container)


def test_a_default_may_not_hide_what_is_registered(container: AppContainer) -> None:
    container.register(Optional)
    check(container)
    container.register(Leaf)
    with pytest.raises(GraphError, match=r"a default hides what is registered: Optional\(leaf\)"):
        check(container)


def test_singletons_are_listed_dependencies_first(container: AppContainer) -> None:
    for service in (Tree, Branch, Leaf, Collection):
        container.register(service, lifespan=Lifespan.singleton)
    assert check(container)[:3] == [Leaf, Branch, Tree]


async def test_a_scope_can_be_asked_for_itself(container: AppContainer) -> None:
    container.register(Leaf, lifespan=Lifespan.scoped)
    async with RootScope(container).new_scope() as scope:
        own = await scope.resolve(ContainerScope)
        assert await own.resolve_async(Leaf) is await scope.resolve(Leaf)
        async with own.new_scope() as inner:
            assert await inner.resolve_async(ContainerScope) is inner
    async with RootScope(container).new_scope() as scope:
        assert await scope.resolve(ContainerScope) is not own


async def test_a_scope_may_have_registrations_of_its_own(container: AppContainer) -> None:
    class OtherLeaf(Leaf): ...

    class Decorated(Leaf):
        def __init__(self, leaf: Leaf) -> None:
            self.leaf = leaf

    configured: list[str] = []
    container.register(Leaf)
    async with LazyScope(container) as scope, scope.new_scope() as inner:
        scope.register(Leaf, OtherLeaf)
        assert type(await scope.resolve_async(Leaf)) is OtherLeaf
        assert type(await inner.resolve_async(Leaf)) is OtherLeaf
        assert await inner.resolve_async(ContainerScope) is inner
    async with LazyScope(container) as scope:
        scope.pre_configure(Leaf, lambda: configured.append("once"))
        scope.register_decorator(Leaf, Decorated)
        assert type(await scope.resolve_async(Leaf)) is Decorated
        assert configured == ["once"]
    async with LazyScope(container) as scope:
        assert type(await scope.resolve_async(Leaf)) is Leaf


async def test_a_requests_scope_is_one_and_ends_behind_the_response(
    container: AppContainer, settings: Settings
) -> None:
    """With what runs behind the response, also in an app that is mounted, and after an error."""
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
    app.router.lifespan_context = lambda _: nullcontext({"root_scope": RootScope(container)})
    async with open_client(app) as client:
        for path in ("/use", "/mounted/use"):
            assert (await client.get(path)).json() is True
            assert happened == ["made", "behind", "closed"]
            happened.clear()
        assert (await client.get("/fail")).status_code == 500
        assert happened == ["made", "closed"]


async def test_what_a_request_made_goes_with_it(
    container: AppContainer, settings: Settings
) -> None:
    """Nothing is left for the garbage collector, which would come later and find thousands."""
    made: list[ref[Leaf]] = []
    container.register(Leaf, lifespan=Lifespan.scoped)
    app = create_app(settings)

    @app.get("/use")
    async def use(leaf: Annotated[Leaf, Resolve(Leaf)]) -> None:
        made.append(ref(leaf))

    app.router.lifespan_context = lambda _: nullcontext({"root_scope": RootScope(container)})
    async with open_client(app) as client:
        gc.disable()
        try:
            assert (await client.get("/use")).status_code == 200
            assert made[0]() is None
        finally:
            gc.enable()


def test_sockets_and_mounted_apps_reach_the_container(settings: Settings) -> None:
    app, mounted = create_app(settings), FastAPI()

    @mounted.get("/open")
    async def is_open(http_client: HttpClientDep, root_scope: RootScopeDep) -> bool:
        async with root_scope.new_scope() as scope:
            return await scope.resolve(AsyncClient) is http_client

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, http_client: HttpClientDep) -> None:
        await websocket.accept()
        await websocket.send_json(http_client.is_closed)
        await websocket.close()

    app.mount("/mounted", mounted)
    with TestClient(app) as client:
        assert client.get("/mounted/open").json() is True
        with client.websocket_connect("/socket") as websocket:
            assert websocket.receive_json() is False
