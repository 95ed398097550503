"""A client that keeps some connections busy, each with one request at a time (a closed loop)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

RequestMaker = Callable[[], bytes]

_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class WrongAnswer(Exception):
    """A subject did not do the work: its figure would mean nothing."""


@dataclass(slots=True)
class Load:
    """What was done: `seconds` of wall time, and each request's own."""

    seconds: float = 0
    latencies: list[float] = field(default_factory=list)


def request(
    url: str,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + _END + body


async def drive(
    url: str, make_request: RequestMaker, status: int, connections: int, seconds: float
) -> Load:
    """Send requests for some seconds. Raises WrongAnswer for one that is not answered with `status`."""
    host, _, port = urlsplit(url).netloc.partition(":")
    load = Load()
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    begun = time.perf_counter()
    deadline = begun + seconds
    running = [connections]

    def connection() -> _Connection:
        return _Connection(make_request, status, load, deadline, running, ended)

    transports = []
    try:
        async with asyncio.timeout(seconds + 30):
            for _ in range(connections):
                transports.append((await loop.create_connection(connection, host, int(port)))[0])
            await ended
    finally:
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)
    load.seconds = time.perf_counter() - begun
    return load


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(
        self,
        make_request: RequestMaker,
        status: int,
        load: Load,
        deadline: float,
        running: list[int],
        ended: asyncio.Future[None],
    ) -> None:
        self.make_request = make_request
        self.status = b"http/1.1 %d " % status
        self.load = load
        self.deadline = deadline
        self.running = running
        self.ended = ended
        self.head = b""
        self.missing: int | None = None
        """Bytes of the body that are still to come; None where it is chunked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        self.begun = time.perf_counter()
        if self.begun > self.deadline:
            self.transport.close()
            return
        self.head = b""
        self.tail = b""
        self.transport.write(self.make_request())

    def data_received(self, data: bytes) -> None:
        if not self.head:
            self.tail += data
            head, end, data = self.tail.partition(_END)
            if not end:
                return
            self.head, self.tail = head.lower(), b""
            if not self.head.startswith(self.status):
                self.fail(head + _END + data)
                return
            length = self.head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            bodiless = self.status[9:12] in (b"204", b"304")
            self.missing = 0 if bodiless else int(length) if length else None
        if self.missing is None:
            self.tail = self.tail[-len(_LAST_CHUNK) :] + data
            if not self.tail.endswith(_LAST_CHUNK):
                return
        else:
            self.missing -= len(data)
            if self.missing > 0:
                return
            if self.missing < 0:
                self.fail(b"more bytes than were announced")
                return
        self.load.latencies.append(time.perf_counter() - self.begun)
        self.send()

    def fail(self, answer: bytes) -> None:
        if not self.ended.done():
            self.ended.set_exception(WrongAnswer(answer[:2000].decode(errors="replace")))
        self.transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        if time.perf_counter() < self.deadline:
            self.fail(b"the connection was closed before the end")
        self.running[0] -= 1
        if not self.running[0] and not self.ended.done():
            self.ended.set_result(None)
