"""A client that keeps some connections busy, each with one request at a time (a closed loop)."""

import asyncio
import math
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
    """Requests and seconds, and the seconds of each request since all connections were served.

    A server accepts one connection on each turn of its loop: the last connections wait several
    turns for their first answer, which says nothing about the time that a request takes.
    """

    connections: int
    seconds: float
    """At least, once all connections are served; in the end, of wall time."""
    requests: int = 0
    latencies: list[float] = field(default_factory=list)
    unserved: int = field(init=False)
    measured_from: float = math.inf
    deadline: float = math.inf

    def __post_init__(self) -> None:
        self.unserved = self.connections

    def served(self, begun: float, *, first: bool) -> None:
        """Count an answer to what was asked at `begun`, the first of its connection or not."""
        now = time.perf_counter()
        self.requests += 1
        if begun >= self.measured_from:
            self.latencies.append(now - begun)
        self.unserved -= first
        if first and not self.unserved:
            self.measured_from, self.deadline = now, now + self.seconds


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
    """Send requests for some seconds. Raise WrongAnswer unless each gets `status`."""
    host, _, port = urlsplit(url).netloc.partition(":")
    load = Load(connections, seconds)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    begun = time.perf_counter()
    running = [connections]

    def connection() -> _Connection:
        return _Connection(make_request, status, load, running, ended)

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
        running: list[int],
        ended: asyncio.Future[None],
    ) -> None:
        self.make_request = make_request
        self.status = b"http/1.1 %d " % status
        self.load = load
        self.first = True
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
        if self.begun > self.load.deadline:
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
        self.load.served(self.begun, first=self.first)
        self.first = False
        self.send()

    def fail(self, answer: bytes) -> None:
        if not self.ended.done():
            self.ended.set_exception(WrongAnswer(answer[:2000].decode(errors="replace")))
        self.transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        if time.perf_counter() < self.load.deadline:
            self.fail(b"the connection was closed before the end")
        self.running[0] -= 1
        if not self.running[0] and not self.ended.done():
            self.ended.set_result(None)
