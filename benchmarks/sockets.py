"""A room full of sockets: the cost of a delivery, and the effect of a slow reader on the others."""

import asyncio
import json
import re
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.lab import LIFECYCLES, Lab
from benchmarks.measure import Effort, interleaved
from benchmarks.records import Record
from benchmarks.subjects import Subject

PACE = 0.05
"""Seconds between messages: the room is busy, and everybody could keep up."""
_NUMBER = re.compile(rb"#(\d+)#")
_FILLING = "\N{MUSICAL SYMBOL G CLEF}" * 3900
"""4 bytes each: 16 kB a message, more than buffers take for long."""
_SETTINGS = {"WEBSOCKET_RATE": "1000000", "WEBSOCKET_BURST": "1000000"}


@dataclass(slots=True)
class Room:
    """When each message was sent, and how long each delivery took, in seconds."""

    sent_at: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """A WebSocket client that takes the time of each message and does nothing else (RFC 6455)."""

    def __init__(self, url: str, room: Room) -> None:
        self.netloc = urlsplit(url).netloc
        self.room = room
        self.open = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {self.netloc}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open.done():
            head, blank, rest = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            self.buffer = rest
            assert b" 101 " in head, head
            self.open.set_result(None)
        while (end := _end_of_frame(self.buffer)) and len(self.buffer) >= end:
            frame, self.buffer = self.buffer[:end], self.buffer[end:]
            if frame[0] & 0x0F == 0x9:
                self.transport.write(b"\x8a\x80\x00\x00\x00\x00")
            elif found := _NUMBER.search(frame, 0, 200):
                self.room.latencies.append(time.perf_counter() - self.room.sent_at[int(found[1])])

    def say(self, text: str) -> None:
        """Send a text; a mask of zeros leaves it as it is."""
        data = text.encode()
        self.transport.write(b"\x81\xfe" + len(data).to_bytes(2) + bytes(4) + data)


def _end_of_frame(buffer: bytes) -> int:
    """Return where the first frame ends; 0 if that is not known yet."""
    if len(buffer) < 2:
        return 0
    if buffer[1] < 126:
        return 2 + buffer[1]
    return 4 + int.from_bytes(buffer[2:4]) if len(buffer) >= 4 else 0


async def fill(subject: Subject, number: int, messages: int, *, stalled: bool) -> dict[str, float]:
    """Send messages to a room of `number`; return the cost and the percentiles in microseconds."""
    loop = asyncio.get_running_loop()
    room = Room()
    host, _, port = urlsplit(subject.url).netloc.partition(":")
    memory = subject.memory()
    clients = []
    for index in range(number):
        sock = socket.create_connection((host, int(port)))
        if stalled and index == number - 1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        _, client = await loop.create_connection(lambda: Client(subject.url, room), sock=sock)
        await asyncio.wait_for(client.open, 10)
        clients.append(client)
    memory = subject.memory() - memory
    others = number
    if stalled:
        others -= 1
        clients[-1].transport.pause_reading()
    before = subject.cpu()
    for index in range(messages):
        room.sent_at.append(time.perf_counter())
        clients[0].say(
            json.dumps({"type": "say", "text": f"#{index}#{_FILLING}"}, ensure_ascii=False)
        )
        await asyncio.sleep(PACE)
    deadline = time.perf_counter() + 3
    while len(room.latencies) < others * messages and time.perf_counter() < deadline:
        await asyncio.sleep(0.05)
    cpu = subject.cpu() - before
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(1)  # the server notices
    cuts = statistics.quantiles(room.latencies, n=100, method="inclusive")
    return {
        "cpu": cpu / len(room.latencies) * 1e6,
        "p50": cuts[49] * 1e6,
        "p99": cuts[98] * 1e6,
        "delivered": len(room.latencies) / (others * messages),
        "memory": memory / number,
    }


def broadcast(lab: Lab, effort: Effort) -> Iterator[Record]:
    """500 sockets, all well; then one of them takes nothing."""
    rounds = max(1, effort.rounds // 3)
    for work, stalled in (("500 sockets", False), ("500 sockets, one stalled", True)):
        yield from _filled(lab, "broadcast", work, rounds, 500, messages=300, stalled=stalled)


def growth(lab: Lab, effort: Effort) -> Iterator[Record]:
    """From 10 sockets to 2,000."""
    rounds = max(1, effort.rounds // 5)
    for number in (10, 100, 500, 1000, 2000):
        yield from _filled(lab, "sockets", f"{number} sockets", rounds, number, messages=60)


def _filled(
    lab: Lab,
    part: str,
    work: str,
    rounds: int,
    number: int,
    *,
    messages: int,
    stalled: bool = False,
) -> Iterator[Record]:
    print(f"  {part}: {work}", flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    answers = {"database": "none", "websockets": "memory"}
    projects = {name: lab.project(name, **answers) for name in LIFECYCLES}

    def sample(name: str, project: Path, script: str) -> dict[str, float]:
        # A new process each time: memory that was freed is used again and would not be counted.
        with lab.starting(name, project, script, **_SETTINGS) as subject:
            uvloop.run(fill(subject, 2, 10, stalled=False))  # warm
            return uvloop.run(fill(subject, number, messages, stalled=stalled))

    samplers = {
        **{name: partial(sample, name, project, "rendered") for name, project in projects.items()},
        "usual": partial(sample, "usual", projects["depends"], "usual_sockets"),
    }
    for name, measures in interleaved(samplers, rounds).items():
        yield Record(part, work, name, measures)
