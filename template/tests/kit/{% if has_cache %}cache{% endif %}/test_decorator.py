"""`@cached` in the whole app."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import date
from enum import Enum
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
)
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer
from httpx2 import AsyncClient
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.kit.cache import ResponseCache, ResponseCacheDep, cached
from app.kit.errors import raises


class User(BaseModel):
    id: int


@raises(401)
async def get_user(x_user: Annotated[int | None, Header()] = None) -> User:
    if x_user is None:
        raise HTTPException(401)
    return User(id=x_user)


UserDep = Annotated[User, Depends(get_user)]


class Calls:
    """Counts how often routes run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.number = 0

    def next(self) -> int:
        self.number = next(self._numbers)
        return self.number


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
async def cache(app: FastAPI, client: AsyncClient) -> ResponseCache:
    found: list[ResponseCache] = []

    @app.get("/the-cache")
    async def the_cache(cache: ResponseCacheDep) -> None:
        found.append(cache)

    await client.get("/the-cache")
    return found[0]


@pytest.mark.parametrize("together", [False, True])
async def test_users_never_see_each_others_responses(
    app: FastAPI, client: AsyncClient, calls: Calls, together: bool
) -> None:
    @app.get("/mine")
    @cached(expire=60, per_user="{user.id}")
    async def mine(user: UserDep) -> dict[str, int]:
        calls.next()
        await asyncio.sleep(0)
        return {"user": user.id}

    async def ask(user: int) -> None:
        response = await client.get("/mine", headers={"X-User": str(user)})
        assert response.json() == {"user": user}
        assert response.headers["Cache-Control"] == "private, no-cache"

    for _ in range(2):
        if together:
            await asyncio.gather(*(ask(user) for user in range(300)))
        else:
            for user in range(300):
                await ask(user)
    assert calls.number == 300
    assert (await client.get("/mine")).status_code == 401


async def test_sync_and_async_routes_keep_their_signatures_and_models(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    class Shown(BaseModel):
        number: int

    class Known(Shown):
        secret: str = "the secret"

    @app.get("/async", response_model=Shown)
    @cached(expire=60, public=True)
    async def asynchronous(size: int = 1) -> Known:
        return Known(number=calls.next())

    @app.get("/sync/{item}")
    @cached(expire=60, public=True, tags=("item:{item}",))
    def synchronous(item: str, request: Request, response: Response) -> Shown:
        assert request.url.path.endswith(item)
        response.headers["X-Item"] = item
        return Shown(number=calls.next())

    for path in ("/async", "/sync/a"):
        computed, found = await client.get(path), await client.get(path)
        assert found.json() == computed.json() == {"number": calls.number}
        assert found.headers["Content-Type"] == computed.headers["Content-Type"]
        assert "Age" in found.headers
        assert "Age" not in computed.headers
    assert found.headers["X-Item"] == "a"
    assert (await client.get("/async", params={"size": "x"})).status_code == 422

    paths = app.openapi()["paths"]
    assert [each["name"] for each in paths["/async"]["get"]["parameters"]] == ["size"]
    assert [each["name"] for each in paths["/sync/{item}"]["get"]["parameters"]] == ["item"]
    content = paths["/async"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("Shown")


async def test_key_depends_on_the_request(app: FastAPI, client: AsyncClient, calls: Calls) -> None:
    @app.get("/a")
    @app.get("/b")
    @cached(expire=60, public=True, vary=("Accept-Language",))
    async def route(request: Request) -> int:
        return calls.next()

    same = [
        await client.get("/a?x=1&y=2"),
        await client.get("/a?y=2&x=1"),
        await client.get("/a?y=2&x=1", headers={"User-Agent": "other"}),
    ]
    assert {response.text for response in same} == {"1"}
    assert same[0].headers["Vary"].startswith("accept-language")
    different = [
        await client.get("/b?x=1&y=2"),
        await client.get("/a?x=1"),
        await client.get("/a?x=1&y=2&y=3"),
        await client.get("/a?x=1&y=3&y=2"),
        await client.get("/a?x=1&y=2&z="),
        await client.get("/a?x=1%26y%3D2"),
        await client.get("/a?x=1&y=2", headers={"Host": "other"}),
        await client.get("/a?x=1&y=2", headers={"Accept-Language": "de"}),
    ]
    assert [response.text for response in different] == [str(number) for number in range(2, 10)]


async def test_what_nobody_reads_is_no_part_of_the_key(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    """Otherwise a client could fill the cache with copies."""

    class Filter(BaseModel):
        color: str = ""
        shape: str = Field(default="", alias="form")

    async def page(size: int = 1) -> int:
        return size

    @app.get("/items/{item}")
    @cached(expire=60, public=True)
    async def route(
        item: str,
        size: Annotated[int, Depends(page)],
        filters: Annotated[Filter, Query()],
        order: Annotated[str, Query(alias="by")] = "id",
        direction: Annotated[str, Query(validation_alias="to")] = "up",
    ) -> int:
        return calls.next()

    same = [
        await client.get("/items/a"),
        await client.get("/items/a?random=1"),
        await client.get("/items/a?item=b&order=x"),
        await client.get("/items/a", headers={"Host": "other"}),
    ]
    assert {response.text for response in same} == {"1"}
    queries = ("size=2", "by=name", "color=red", "color=red&color=blue", "form=x", "to=y")
    for number, query in enumerate(queries, 2):
        assert (await client.get(f"/items/a?{query}")).text == str(number)


async def test_parameters_that_cannot_be_told_are_all_read(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    @app.get("/open")
    @cached(expire=60, public=True)
    async def any_name(filters: Annotated[Open, Query()]) -> int:
        return calls.next()

    @app.get("/choices")
    @cached(expire=60, public=True)
    async def two_names(
        name: Annotated[str, Query(validation_alias=AliasChoices("a", "b"))] = "",
    ) -> int:
        return calls.next()

    seen = [
        (await client.get(f"/{path}?{query}")).text
        for path in ("open", "choices")
        for query in ("a=1", "a=2", "b=1", "a=1")
    ]
    assert seen == ["1", "2", "3", "1", "4", "5", "6", "4"]


def test_public_response_below_credentials_is_refused() -> None:
    """User B would get user A's body."""

    async def user_of(session: Annotated[str, Cookie()]) -> str:
        return session

    async def tenant(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant

    async def deeper(user: Annotated[str, Depends(user_of)]) -> str:
        return user

    for provider, named in [
        (user_of, "Cookie"),
        (deeper, "Cookie"),
        (tenant, "x-tenant"),
        (HTTPBearer(), "Authorization"),
        (APIKeyHeader(name="X-Key"), "X-Key"),
        (APIKeyCookie(name="key"), "Cookie"),
        (APIKeyQuery(name="key"), "query parameter key"),
    ]:

        async def route(value: Annotated[Any, Depends(provider)]) -> None: ...

        with pytest.raises(TypeError, match=named):
            cached(expire=60, public=True)(route)
    cached(expire=60, public=True, vary=("X-Tenant",))(_tenant_route(tenant))


def _tenant_route(tenant: Callable[..., Any]) -> Callable[..., Any]:
    async def route(value: Annotated[Any, Depends(tenant)]) -> None: ...

    return route


class Color(Enum):
    RED = "red"


class Owner(BaseModel):
    id: UUID
    born: date
    color: Color
    nickname: str | None = None
    weight: float = 0

    @property
    def label(self) -> str:
        return f"{self.id}"

    @property
    def unknown(self):  # type: ignore[no-untyped-def]
        return object()


@pytest.mark.parametrize("field", ["id", "born", "color", "label", "unknown"])
def test_tag_of_an_identifier_is_accepted(field: str) -> None:
    async def route(owner: Annotated[Owner, Depends(lambda: None)]) -> None: ...

    cached(expire=60, per_user="{owner.id}", tags=(f"{{owner.{field}}}",))(route)


@pytest.mark.parametrize("field", ["nickname", "weight"])
def test_tag_whose_text_need_not_be_unique_is_refused_at_import(field: str) -> None:
    async def route(owner: Annotated[Owner, Depends(lambda: None)]) -> None: ...

    with pytest.raises(TypeError, match=field):
        cached(expire=60, per_user="{owner.id}", tags=(f"{{owner.{field}}}",))(route)


async def test_tags_by_a_date_or_an_enum(
    app: FastAPI, client: AsyncClient, calls: Calls, cache: ResponseCache
) -> None:
    @app.get("/days/{day}/{color}")
    @cached(expire=60, public=True, tags=("day:{day}", "color:{color}"))
    async def route(day: date, color: Color) -> int:
        return calls.next()

    for tag in ("day:2026-01-02", "color:red", "color:blue"):
        before = (await client.get("/days/2026-01-02/red")).text
        await cache.invalidate(tag)
        after = (await client.get("/days/2026-01-02/red")).text
        assert (before != after) == (tag != "color:blue")


async def test_responses_that_must_not_be_stored_are_not(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"one "
        yield str(calls.next()).encode()

    def respond(headers: dict[str, str], status: int = 200) -> Response:
        return Response(str(calls.next()), status, headers)

    kinds: dict[str, Any] = {
        "no-store": lambda: respond({"Cache-Control": "no-store"}),
        "no-cache": lambda: respond({"Cache-Control": 'no-cache="x", max-age=3'}),
        "private": lambda: respond({"Cache-Control": "max-age=3, PRIVATE"}),
        "cookie": lambda: respond({"Set-Cookie": "a=b"}),
        "vary": lambda: respond({"Vary": "Accept-Language"}),
        "created": lambda: respond({}, 201),
        "partial": lambda: respond({}, 206),
        "missing": lambda: respond({}, 404),
        "stream": lambda: StreamingResponse(stream()),
    }

    @app.get("/kinds/{kind}", responses={201: {}, 206: {}, 404: {}})
    @app.post("/kinds/{kind}")
    @cached(expire=60, public=True)
    async def route(kind: str) -> Response:
        response: Response = kinds[kind]()
        return response

    for kind in kinds:
        one, other = await client.get(f"/kinds/{kind}"), await client.get(f"/kinds/{kind}")
        assert one.text != other.text, kind
        assert "ETag" not in one.headers, kind
    kinds["ok"] = lambda: respond({})
    posted = [(await client.post("/kinds/ok")).text for _ in range(2)]
    assert posted[0] != posted[1]
    assert (await client.get("/kinds/ok")).text not in posted
    async with client.stream("GET", "/kinds/stream") as response:
        assert (await response.aread()).startswith(b"one ")


async def test_dependencies_run_on_a_hit(app: FastAPI, client: AsyncClient, calls: Calls) -> None:
    """Their work for a request is not stored."""
    ran: list[str] = []

    async def guard(
        response: Response,
        tasks: BackgroundTasks,
        x_name: Annotated[str | None, Header()] = None,
        session: Annotated[str | None, Cookie()] = None,
    ) -> None:
        response.headers["X-Left"] = str(10 - calls.next())
        response.headers.append("Link", "dependency")
        tasks.add_task(ran.append, "dependency")
        if x_name:
            response.headers["X-Signed-In-As"] = x_name
        if session:
            response.set_cookie("session", "new")

    @app.get("/guarded", dependencies=[Depends(guard)])
    @cached(expire=60, public=True)
    async def route(tasks: BackgroundTasks, response: Response) -> str:
        tasks.add_task(ran.append, "route")
        response.headers.append("Link", "route")
        return "ok"

    first = await client.get("/guarded", headers={"X-Name": "ada"})
    assert (first.headers["X-Left"], first.headers["X-Signed-In-As"]) == ("9", "ada")
    assert ran == ["dependency", "route"]
    found = await client.get("/guarded")
    assert found.headers.get_list("X-Left") == ["8"]
    assert sorted(found.headers.get_list("Link")) == sorted(first.headers.get_list("Link"))
    assert "X-Signed-In-As" not in found.headers
    assert ran == ["dependency", "route", "dependency"]
    found = await client.get("/guarded", headers={"Cookie": "session=old"})
    assert found.headers["Cache-Control"] == "no-store"
    assert "session=new" in found.headers["Set-Cookie"]


async def test_returned_response_has_no_headers_of_dependencies(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    """FastAPI adds none, so a hit adds none."""

    async def name(response: Response) -> None:
        response.headers["X-Call"] = str(calls.next())

    @app.get("/returned", dependencies=[Depends(name)])
    @cached(expire=60, public=True)
    async def route() -> Response:
        return Response("ok", headers={"X-Call": "1"})

    for _ in range(3):
        assert (await client.get("/returned")).headers.get_list("X-Call") == ["1"]


async def test_state_that_dependencies_read_before_a_change_is_not_stored(
    app: FastAPI, client: AsyncClient, cache: ResponseCache
) -> None:
    value = "old"
    read, go_on = asyncio.Event(), asyncio.Event()

    async def current() -> str:
        answer = value
        if answer == "old":
            read.set()
            await go_on.wait()
        return answer

    @app.get("/current")
    @cached(expire=60, public=True, tags=("value",))
    async def route(current: Annotated[str, Depends(current)]) -> str:
        return current

    early = asyncio.create_task(client.get("/current"))
    await read.wait()
    value = "new"
    await cache.invalidate("value")
    go_on.set()
    assert (await early).json() == "old"
    assert (await client.get("/current")).json() == "new"


async def test_head_is_answered_as_get(app: FastAPI, client: AsyncClient, calls: Calls) -> None:
    @app.get("/file")
    @cached(expire=60, public=True)
    async def route() -> Response:
        calls.next()
        return Response(b"body", headers={"X-Size": "4"})

    assert (await client.head("/file")).headers["X-Size"] == "4"
    assert (await client.get("/file")).text == "body"
    found = await client.head("/file")
    assert (found.headers["Content-Length"], found.headers["Age"]) == ("4", "0")
    assert found.content == b""
    assert calls.number == 1


async def test_hit_is_not_wrapped_twice(app: FastAPI, client: AsyncClient) -> None:
    """The sent response is stored: a custom route class must not run on it again."""

    class Wrapped(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def wrap(request: Request) -> Response:
                return Response(b"<" + bytes((await handler(request)).body) + b">")

            return wrap

    router = APIRouter(route_class=Wrapped)

    @router.get("/wrapped")
    @cached(expire=60, public=True)
    async def route() -> int:
        return 1

    app.include_router(router)
    assert [(await client.get("/wrapped")).text for _ in range(3)] == ["<1>"] * 3


async def test_users_identified_by_several_fields_are_distinct(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    @app.get("/{org}/{user}/own")
    @cached(expire=60, per_user="{org}{user}")
    def route(org: str, user: str, func: int = 1) -> int:
        return calls.next()

    assert (await client.get("/1/23/own")).text == "1"
    assert (await client.get("/12/3/own")).text == "2"
    assert (await client.get("/1/23/own")).text == "1"
    assert await cast("Any", route)("1", user="2") == 3  # an ordinary function call


async def test_conditional_requests(app: FastAPI, client: AsyncClient) -> None:
    @app.api_route("/same", methods=["GET", "HEAD"])
    @cached(expire=300, public=True)
    async def route() -> str:
        return "ok"

    etag = (await client.get("/same")).headers["ETag"]
    for path in ("/same", "/same?computed=now"):
        response = await client.get(path, headers={"If-None-Match": f'"x", W/{etag}'})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == etag
        assert response.headers["Cache-Control"] == "public, max-age=300"
        assert "Content-Type" not in response.headers
        assert "Content-Length" not in response.headers
    assert (await client.get("/same", headers={"If-None-Match": '"x"'})).text == '"ok"'
    found = await client.head("/same")
    assert (found.headers["ETag"], found.headers["Age"]) == (etag, "0")


async def test_200_cold_requests_make_one_computation(
    app: FastAPI, client: AsyncClient, calls: Calls, cache: ResponseCache
) -> None:
    @app.get("/slow")
    @cached(expire=60, public=True)
    async def route() -> int:
        await asyncio.sleep(0.1)
        return calls.next()

    responses = await asyncio.gather(*(client.get("/slow") for _ in range(200)))
    assert {response.text for response in responses} == {"1"}
    counted = cache.statistics
    assert (counted.misses, counted.errors) == (1, 0)
    assert counted.waits + counted.hits == 199


@pytest.mark.parametrize("fate", ["cancelled", "failed", "refused"])
async def test_failure_of_one_request_does_not_fail_those_that_wait_for_it(
    app: FastAPI, client: AsyncClient, calls: Calls, fate: str
) -> None:
    begun = asyncio.Event()

    @app.get("/led")
    @cached(expire=60, public=True)
    @raises(409)
    async def route() -> int:
        number = calls.next()
        if number == 1:
            begun.set()
            await asyncio.sleep(0.05)
            if fate == "failed":
                raise RuntimeError(fate)
            if fate == "refused":
                raise HTTPException(409)
            await asyncio.sleep(60)
        await asyncio.sleep(0.02)
        return number

    leader = asyncio.create_task(client.get("/led"))
    await begun.wait()
    followers = [asyncio.create_task(client.get("/led")) for _ in range(20)]
    await asyncio.sleep(0.03)
    if fate == "cancelled":
        leader.cancel()
    assert {(await follower).status_code for follower in followers} == {200}
    if fate == "cancelled":
        assert calls.number == 2  # one of the others computed for all
    else:
        assert (await leader).status_code == {"failed": 500, "refused": 409}[fate]


async def test_response_computed_before_a_change_is_not_served_after_it(
    app: FastAPI, client: AsyncClient, cache: ResponseCache
) -> None:
    """Neither while it is being computed nor after it is stored."""
    value = "old"
    read, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/value")
    @cached(expire=60, public=True, tags=("value",))
    async def route() -> str:
        answer = value
        if answer == "old":
            read.set()
            await go_on.wait()
        return answer

    early = asyncio.create_task(client.get("/value"))
    await read.wait()
    value = "new"
    await cache.invalidate("value")
    assert (await client.get("/value")).json() == "new"
    go_on.set()
    assert (await early).json() == "old"
    assert (await client.get("/value")).json() == "new"


async def test_invalidation_by_tag_and_of_everything(
    app: FastAPI, client: AsyncClient, calls: Calls, cache: ResponseCache
) -> None:
    @app.get("/items/{item}")
    @cached(expire=60, public=True, tags=("items", "item:{item}"))
    async def route(item: int) -> int:
        return calls.next()

    async def ask() -> list[int]:
        return [(await client.get(f"/items/{item}")).json() for item in (1, 2)]

    assert (await client.get("/items/1")).headers["Cache-Control"] == "public, no-cache"
    assert await ask() == [1, 2]
    await cache.invalidate("item:1")
    assert await ask() == [3, 2]
    await cache.invalidate("items", "unknown")
    assert await ask() == [4, 5]
    await cache.clear()
    assert await ask() == [6, 7]
    assert await ask() == [6, 7]


async def test_response_expires(app: FastAPI, client: AsyncClient, calls: Calls) -> None:
    @app.get("/short")
    @cached(expire=1, public=True)
    async def route() -> int:
        return calls.next()

    assert [(await client.get("/short")).json() for _ in range(2)] == [1, 1]
    await asyncio.sleep(1.05)
    assert (await client.get("/short")).json() == 2


async def test_changed_schema_is_another_response(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    """After a deployment, responses with the old schema are not read."""

    class Shape(BaseModel):
        number: int
        secret: str = "x"

    class Longer(Shape):
        more: int = 0

    @cached(expire=60, public=True)
    async def route() -> Shape:
        return Shape(number=calls.next())

    answers = []
    several: list[dict[str, Any]] = [
        {"response_model": Shape},
        {"response_model": Shape},
        {"response_model": Shape, "response_model_exclude": {"secret"}},
        {"response_model": Longer},
        {"response_model": None},
    ]
    for options in several:
        app.router.routes[:] = [
            each for each in app.router.routes if getattr(each, "path", "") != "/shape"
        ]
        app.get("/shape", **options)(route)
        response = await client.get("/shape")
        answers.append((response.json()["number"], "secret" in response.text))
    assert answers == [(1, True), (1, True), (2, False), (3, True), (4, True)]


def test_invalid_arguments_fail_at_import() -> None:
    async def route(user: UserDep, other: int) -> None: ...

    async def tenant(x_tenant: Annotated[str, Header()]) -> None: ...

    async def session(session: Annotated[str, Cookie()]) -> None: ...

    async def stream(user: UserDep) -> AsyncIterator[str]:
        yield ""

    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({}, TypeError, "public=True or per_user"),
        ({"public": True, "per_user": "{user.id}"}, TypeError, "public=True or per_user"),
        ({"per_user": "user"}, TypeError, "the same for everyone"),
        ({"per_user": "{usr.id}"}, TypeError, "no parameter 'usr', only: user, other"),
        ({"public": True, "tags": ("user:{}",)}, TypeError, "no parameter ''"),
        ({"per_user": "{user.id!s}"}, TypeError, "without a format"),
        ({"per_user": "{user.id:>9}"}, TypeError, "without a format"),
        ({"public": True, "tags": "users"}, TypeError, "tags=\\(...,\\)"),
        ({"public": True, "expire": 0}, ValueError, "at least 1, not 0"),
        ({"public": True, "expire": 0.5}, ValueError, "whole seconds"),
        ({"public": True, "expire": True}, ValueError, "whole seconds"),
    ]
    for options, error, said in wrong:
        with pytest.raises(error, match=said):
            cached(**{"expire": 60, **options})(route)
    with pytest.raises(TypeError, match="depends on x-tenant"):
        cached(expire=60, public=True, vary=("Accept",))(tenant)
    with pytest.raises(TypeError, match="depends on Cookie"):
        cached(expire=60, public=True)(session)
    cached(expire=60, public=True, vary=("X-Tenant",))(tenant)
    with pytest.raises(TypeError, match="stream, which cannot be cached"):
        cached(expire=60, public=True)(stream)
    with pytest.raises(TypeError, match="on a function, not"):
        cached(expire=60, public=True)(User)


async def test_object_cannot_identify_a_user(app: FastAPI, client: AsyncClient) -> None:
    """Its text need not be unique: it may contain a memory address."""

    async def route(user: UserDep) -> None: ...

    with pytest.raises(TypeError, match="a str, an int"):
        cached(expire=60, per_user="{user}")(route)

    @app.get("/object")
    @cached(expire=60, per_user="{user}")
    async def unknown(user: Annotated[Any, Depends(get_user)]) -> None: ...

    response = await client.get("/object", headers={"X-User": "1"})
    assert response.status_code == 500


@pytest.mark.parametrize("place", ["route", "router", "inclusion", "router around it"])
async def test_public_response_behind_a_guard_is_refused_at_start(app: FastAPI, place: str) -> None:
    """A guard's answer is not in the key, and proxies would show the response to everyone."""
    guards = [Depends(HTTPBearer())]
    outer = APIRouter(dependencies=guards if place == "router around it" else [])
    router = APIRouter(prefix="/guarded", dependencies=guards if place == "router" else [])

    @router.get("/number", dependencies=guards if place == "route" else [])
    @cached(expire=60, public=True)
    async def number() -> int:
        return 1

    outer.include_router(router, dependencies=guards if place == "inclusion" else [])
    app.include_router(outer)
    with pytest.raises(TypeError, match=r"/guarded/number: public=True, .* reads Authorization"):
        async with app.router.lifespan_context(app):
            pass


async def test_response_behind_a_guard_may_be_cached_for_a_user(
    app: FastAPI, client: AsyncClient, calls: Calls
) -> None:
    router = APIRouter(dependencies=[Depends(get_user)])

    @router.get("/mine")
    @cached(expire=60, per_user="{user.id}")
    async def mine(user: UserDep) -> int:
        return calls.next()

    app.include_router(router)
    async with app.router.lifespan_context(app):
        for _ in range(2):
            assert (await client.get("/mine", headers={"X-User": "1"})).json() == 1
