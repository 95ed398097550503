"""What one connection can make the server hold."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import cast

import pytest
from fastapi import FastAPI, Request

from app.kit.client_ip import ClientIpDep
from app.kit.server import http_protocol
from app.settings import Settings
from tests.kit.server.serving import LIVEZ, connected, serving

START = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
KILOBYTE = b"x" * 1024


@pytest.fixture
async def port(app: FastAPI, settings: Settings) -> AsyncIterator[int]:
    async with serving(app, settings) as port:
        yield port


async def test_usual_requests_are_answered(port: int) -> None:
    async with connected(port) as client:
        for _ in range(3):  # on one connection
            await client.send(LIVEZ)
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await client.reader.readexactly(len(b'{"status":"ok"}'))
    async with connected(port) as client:
        large = START + b"".join(b"X-%d: %b\r\n" % (each, KILOBYTE) for each in range(40))
        for start in range(0, len(large), 1000):
            await client.send(large[start : start + 1000])
        await client.send(b"\r\n")
        assert await client.status() == 200


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /", KILOBYTE),
        (START, b"X: y\r\n" * 200),
        (START + b"Authorization: ", KILOBYTE),
        (START, KILOBYTE),
        (b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", KILOBYTE),
        (
            b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
            KILOBYTE,
        ),
    ],
)
async def test_endless_head_is_refused(port: int, start: bytes, part: bytes) -> None:
    async with connected(port) as client:
        await client.send(start)
        sent = 0
        while sent < 4 * 1024 * 1024 and await client.send(part):
            sent += len(part)
        assert sent < 4 * 1024 * 1024
        assert await client.status() in (431, 405, 0)


async def test_offer_of_another_protocol_is_ignored(port: int) -> None:
    """RFC 9110, 7.8: clients that offer HTTP/2 are served."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"
    async with connected(port) as client:
        await client.send(START + offer)
        assert await client.status() == 200


async def test_body_after_an_early_response_begins_no_head(
    app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(http_protocol, "_WATCH_SECONDS", 0.05)
    async with serving(app, settings) as port, connected(port) as client:
        await client.send(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert await client.status() == 405
        await client.reader.readuntil(b"}")
        await client.send(b"late")
        await asyncio.sleep(0.3)
        await client.send(LIVEZ)
        assert await client.status() == 200
    async with serving(app, settings) as port, connected(port) as client:
        await client.send(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert await client.status() == 405
        await client.send(b"la")  # and never the rest
        assert b"408 Request Timeout" in await client.receive()


async def test_malformed_request_is_refused(port: int) -> None:
    async with connected(port) as client:
        await client.send(b"nonsense\r\n\r\n")
        assert await client.status() == 400


async def test_few_requests_wait_for_the_one_before(app: FastAPI, settings: Settings) -> None:
    begun = 0
    go = asyncio.Event()

    @app.get("/slow")
    async def slow() -> None:
        nonlocal begun
        begun += 1
        await go.wait()

    request = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(app, settings) as port:
        async with connected(port) as client:
            await client.send(request * 5)
            await asyncio.sleep(0.1)
            assert begun == 1
            go.set()
            for _ in range(5):
                await client.reader.readuntil(b"null")
        go.clear()
        async with connected(port) as flood:
            await flood.send(request * 1000)
            assert await flood.receive() == b""
        go.set()


@pytest.mark.parametrize("first", [b"", LIVEZ])
@pytest.mark.parametrize("sent", [b"", b"\r\n", START])
async def test_silent_connection_is_closed(
    app: FastAPI,
    settings: Settings,
    first: bytes,
    sent: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(http_protocol, "_WATCH_SECONDS", 0.05)
    async with serving(app, settings) as port, connected(port) as client:
        if first:
            await client.send(first)
            await client.reader.readuntil(b"}")
        await client.send(sent or b"\r\n" * len(first))
        assert b"408 Request Timeout" in await client.receive()


async def test_stopping_server_sends_clients_elsewhere(app: FastAPI, settings: Settings) -> None:
    async with serving(app, settings, stopping=True) as port:
        for path, status in ((b"livez", 200), (b"readyz", 503)):
            async with connected(port) as client:
                await client.send(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                answer = await client.receive()
                assert answer.startswith(b"HTTP/1.1 %d" % status)
                assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("sent", [b"", START])
async def test_request_on_its_way_is_answered(
    app: FastAPI, settings: Settings, sent: bytes
) -> None:
    async with AsyncExitStack() as stack:
        async with serving(app, settings) as port:
            client = await stack.enter_async_context(connected(port))
            await client.send(sent)
            await asyncio.sleep(0.05)
            # While the server stops.
            asyncio.get_running_loop().call_later(0.2, client.writer.write, LIVEZ[len(sent) :])
        assert await client.status() == 200


async def test_path_of_a_proxy_is_put_back(app: FastAPI, settings: Settings) -> None:
    @app.get("/path")
    async def path(request: Request) -> list[str]:
        return [request.scope["path"], request.scope["root_path"], str(request.url_for("path"))]

    prefixed = settings.model_copy(update={"root_path": "/api"})
    async with serving(app, prefixed) as port, connected(port) as client:
        await client.send(b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readuntil(b"]") == b'["/api/path","/api","http://x/api/path"]'


async def test_more_connections_than_allowed_are_refused(
    app: FastAPI, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    few = settings.model_copy(update={"max_connections": 2})
    caplog.set_level(logging.WARNING)
    http_protocol.BoundedHttpProtocol._reported_at = -1e9
    async with serving(app, few) as port, connected(port) as one, connected(port) as other:
        for client in (one, other):
            await client.send(LIVEZ)
            assert await client.status() == 200
        for _ in range(3):
            async with connected(port) as third:
                assert (await third.receive()).startswith(b"HTTP/1.1 503")
        assert [each for each in caplog.messages if "connections" in each] == [
            "more than 2 connections: others are refused"
        ]
        other.writer.transport.abort()
        await asyncio.sleep(0.1)
        async with connected(port) as third:
            await third.send(LIVEZ)
            assert await third.status() == 200


def test_ipv4_address_written_as_ipv6_is_unmapped() -> None:
    assert http_protocol.unmapped(("::ffff:203.0.113.7", 80)) == ("203.0.113.7", 80)
    for client in (("2001:db8::1", 80), ("203.0.113.7", 80), None):
        assert http_protocol.unmapped(client) == client


async def test_ipv4_client_of_an_ipv6_socket_keeps_its_address(
    app: FastAPI, settings: Settings
) -> None:
    @app.get("/ip")
    async def ip(client_ip: ClientIpDep, request: Request) -> list[str]:
        return [client_ip, cast("tuple[str, int]", request.scope["client"])[0]]

    request = b"GET /ip HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    host = "::" if socket.has_dualstack_ipv6() else "127.0.0.1"
    async with serving(app, settings, host) as port, connected(port) as client:
        await client.send(request)
        await client.reader.readuntil(b"\r\n\r\n")
        body = await client.reader.readuntil(b"]")
    assert body == b'["203.0.113.7","203.0.113.7"]'  # the proxy on 127.0.0.1 is trusted


async def test_large_upload_is_refused_by_a_response(app: FastAPI, settings: Settings) -> None:
    """A connection that closes with unread data is reset, and the client sees no status."""

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    size = settings.max_body_size * 4
    head = b"POST /upload HTTP/1.0\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    async with serving(app, settings) as port, connected(port) as client:
        await client.send(head)
        for _ in range(size // len(KILOBYTE)):
            client.writer.write(KILOBYTE)
        await client.writer.drain()
        assert await client.status() == 413
