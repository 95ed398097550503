"""What one WebSocket can make the server do."""

import asyncio
import os
import struct

import pytest

from tests.kit.server.serving import Raw, connected
from tests.kit.websockets.fixtures import Serve

TEXT, PING, PONG, CONTINUATION = 1, 9, 10, 0
HANDSHAKE = (
    b"GET /talk/lobby HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def frame(opcode: int, content: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a client's frame (RFC 6455, 5.2), masked with zeros."""
    return struct.pack("!BB", fin << 7 | opcode, 0x80 | len(content)) + bytes(4) + content


async def close_code(client: Raw) -> int:
    """Return the code with which the server closes the connection."""
    received = await client.receive()
    _, found, close = received.rpartition(b"\x88")
    return int(struct.unpack("!H", close[1:3])[0]) if found else 1006


@pytest.mark.parametrize(
    "flood",
    [
        frame(TEXT, b"x", fin=False) + frame(CONTINUATION, fin=False) * 20_000,
        frame(PING) * 20_000,
        frame(PONG, b"unasked") * 20_000,
    ],
)
async def test_frames_that_are_no_messages_are_bounded(serve: Serve, flood: bytes) -> None:
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(HANDSHAKE + b"\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        longest, blocked = 0.0, asyncio.create_task(asyncio.sleep(0))
        await blocked
        await client.send(flood)
        loop = asyncio.get_running_loop()
        for _ in range(20):
            started = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - started)
        assert longest < 0.3
        assert await close_code(client) in (1008, 1006)  # what is unread resets the connection


async def test_usual_pings_and_fragments_are_answered(serve: Serve) -> None:
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(HANDSHAKE + b"\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(frame(PING, b"1") * 100)
        await client.reader.readuntil(b"\x8a\x011" * 100)
        message = b'{"type":"ping"}'
        parts = [frame(CONTINUATION, message[each : each + 1], fin=False) for each in range(1, 14)]
        first, last = frame(TEXT, message[:1], fin=False), frame(CONTINUATION, message[14:])
        await client.send(first + b"".join(parts) + last)
        assert b'"pong"' in await client.reader.readuntil(b'"pong"')


@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * 9000, b"\r\n".join([b"X: y"] * 200)])
async def test_handshake_with_a_large_head_is_refused(serve: Serve, header: bytes) -> None:
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(HANDSHAKE + header + b"\r\n\r\n")
        assert await client.status() == 431


@pytest.mark.parametrize("header", [b"Content-Length: 00", b"Transfer-Encoding: chunked"])
async def test_handshake_with_a_body_is_refused(serve: Serve, header: bytes) -> None:
    """The library would neither answer nor end it."""
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(HANDSHAKE + header + b"\r\n\r\n")
        assert await client.status() == 400


async def test_handshake_behind_a_running_request_ends_both(serve: Serve) -> None:
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" + HANDSHAKE + b"\r\n")
        assert b"101 Switching" not in await client.receive()


async def test_random_bytes_close_the_connection(serve: Serve) -> None:
    async with serve() as server, connected(int(server.url.rpartition(":")[2])) as client:
        await client.send(HANDSHAKE + b"\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"\xff" + os.urandom(1000))
        assert await close_code(client) == 1002
