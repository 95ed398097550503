"""What clients send is bounded before it is parsed, whatever the route."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from httpx2 import AsyncClient
from pydantic import BaseModel, ConfigDict

from app.application import create_app
from app.kit.errors import raises
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.helpers import GivenSettings, open_client

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
LOOP_SECONDS = 0.05
MARGIN = 5  # of a busy machine


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    @app.post("/items")
    async def add(item: Item) -> str:
        return item.name

    @app.post("/forms")
    @raises(413, 415)
    async def fill_in(request: Request) -> int:
        return len(await request.body())

    return app


def field_names(app: FastAPI) -> set[str]:
    """Return the names of all fields of all bodies."""
    schemas = app.openapi()["components"]["schemas"].values()
    return {name for each in schemas for name in each.get("properties", {})}


def worst_bodies(names: set[str], size: int) -> Iterator[tuple[str, bytes]]:
    """Yield bodies within the limit that take long to parse, to normalize or to refuse."""
    marks = "a" + "\u0300\u0316" * (size // 13)
    for value in (f"{marks}@example.com", "a@" + "x." * (size // 3)):
        for name in names:
            yield JSON, json.dumps(dict.fromkeys(names, "x") | {name: value}).encode()[:size]
            yield FORM, urlencode(dict.fromkeys(names, "x") | {name: value}).encode()[:size]
    yield JSON, json.dumps({str(number): 1 for number in range(size // 12)}).encode()
    yield JSON, b"[" * size
    yield JSON, b'{"a":' * (size // 5)
    yield JSON, b'{"name":' + b"9" * (size - 9) + b"}"
    yield FORM, b"a&" * (size // 2)
    yield FORM, b"%" * size


async def test_no_body_within_the_limit_blocks_the_event_loop(
    app: FastAPI, client: AsyncClient, settings: Settings
) -> None:
    paths = {
        (method, context.path)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if method in ("POST", "PUT", "PATCH") and context.path
    }
    assert len(paths) >= 2
    for method, path in sorted(paths):
        for content_type, body in worst_bodies(field_names(app), settings.max_json_size):
            headers = {"Content-Type": content_type}
            started = time.process_time()
            response = await client.request(method, path, content=body, headers=headers)
            took = time.process_time() - started
            assert response.status_code < 500, (path, body[:40])
            assert took < MARGIN * LOOP_SECONDS, (path, body[:40])
            assert len(response.content) < 10_000


def test_errors_are_bounded(sync_client: TestClient) -> None:
    body: dict[str, Any] = {f"{number}": 1 for number in range(5000)}
    body["x" * 2000] = 1
    response = sync_client.post("/items", json=body)
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 20
    assert len(response.content) < 5000


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "latin-1", '"utf_16"'])
def test_charset_is_utf_8(sync_client: TestClient, charset: str) -> None:
    """Some charsets take quadratic time to decode."""
    for content_type in ("multipart/form-data; boundary=x", FORM, JSON):
        headers = {"Content-Type": f"{content_type}; Charset={charset}"}
        response = sync_client.post("/forms", content=b"name=x", headers=headers)
        assert response.status_code == 415
    headers = {"Content-Type": f"{FORM}; charset=UTF-8"}
    assert sync_client.post("/forms", content=b"name=x", headers=headers).json() == 6


def test_files_may_be_larger_than_json(sync_client: TestClient, settings: Settings) -> None:
    large = "x" * (settings.max_json_size + 1)
    assert sync_client.post("/items", json={"name": large}).status_code == 413
    assert sync_client.post("/forms", data={"name": large}).status_code == 413
    assert sync_client.post("/forms", files={"name": (None, large)}).json() > len(large)


@pytest.mark.parametrize(
    "content_type",
    ["application/a!b+json", "application/a b+json", "APPLICATION/JSON", "\xa0application/json"],
)
def test_every_spelling_of_json_has_its_limit(
    sync_client: TestClient, settings: Settings, content_type: str
) -> None:
    body = json.dumps({"name": "x" * settings.max_json_size})
    headers = [(b"content-type", content_type.encode("latin-1"))]
    assert sync_client.post("/items", content=body, headers=headers).status_code == 413


def test_unread_body_ends_the_connection(sync_client: TestClient, settings: Settings) -> None:
    """Its rest could be taken for the next request."""
    body = b"x" * (settings.max_body_size + 1)
    response = sync_client.post("/forms", content=body, headers={"Expect": "100-continue"})
    assert response.status_code == 413
    assert response.headers["Connection"] == "close"


async def test_stalled_body_is_refused(settings: Settings, overrides: list[Override]) -> None:
    hurried = GivenSettings(**{**settings.model_dump(), "body_timeout": 0.05})
    app = create_app(hurried, overrides)

    @app.post("/items")
    async def add(item: Item) -> str:
        return item.name

    async def stall() -> AsyncIterator[bytes]:
        yield b'{"name":'
        await asyncio.sleep(30)

    async with asyncio.timeout(10), open_client(app) as client:
        response = await client.post("/items", content=stall(), headers={"Content-Type": JSON})
    assert response.status_code == 408


@pytest.mark.parametrize("text", [r"\ud800", r"a\udc00b", r"\u0000"])
def test_invalid_text_is_never_an_internal_error(sync_client: TestClient, text: str) -> None:
    headers = {"Content-Type": JSON}
    body = f'{{"name": "{text}"}}'
    response = sync_client.post("/items", content=body, headers=headers)
    assert response.status_code in (200, 422)
    assert (response.status_code == 200) == (text == r"\u0000")


def test_head_is_answered_as_get(sync_client: TestClient) -> None:
    get, head = sync_client.get("/livez"), sync_client.head("/livez")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.content))
    assert sync_client.head("/nowhere").status_code == 404
    assert sync_client.head("/items").status_code == 405
    assert "HEAD" in sync_client.put("/livez").headers["Allow"]


async def test_head_of_an_endless_stream_ends(app: FastAPI) -> None:
    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"part"
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    async with asyncio.timeout(10), open_client(app) as client:
        assert (await client.head("/endless")).content == b""


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.example.com", 404),
        ("API.Example.com:8443", 404),
        ("eu.example.org", 404),
        ("[::1]:80", 404),
        ("example.org", 400),
        ("api.example.com.evil.example", 400),
        ("evilexample.org", 400),
        ("", 400),
    ],
)
def test_other_hosts_are_refused(
    settings: Settings, overrides: list[Override], host: str, status: int
) -> None:
    hosts = ["api.example.com", "*.example.org", "[::1]"]
    app = create_app(GivenSettings(**{**settings.model_dump(), "allowed_hosts": hosts}), overrides)
    with TestClient(app) as client:
        assert client.get("/nowhere", headers={"Host": host}).status_code == status
        assert client.get("/livez", headers={"Host": host}).status_code == 200
