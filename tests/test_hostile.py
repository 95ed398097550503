"""One hostile client of a real service: it takes neither the memory nor the time of others."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from tests.conftest import Rendered, as_parameter
from tests.servers import SERVE, Service, children, resident, start
from tests.variants import Answers, focused

MEGABYTE = 1024 * 1024
MAX_GROWTH = 64 * MEGABYTE
SMALL = [as_parameter(each) for each in focused(database="none", websockets="memory")[:1]]
SERVERS = [
    as_parameter(each)
    for each in focused(lifecycle="depends", database="postgresql", jobs="redis")[:1]
]

small = pytest.mark.parametrize("variant", SMALL, indirect=True)


@pytest.fixture
def service(installed: Rendered, variant: Answers) -> Iterator[Service]:
    with start(installed(**variant), *SERVE) as service:
        yield service


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as client:
        yield client


def flood(client: socket.socket, start: bytes, part: bytes, size: int) -> int:
    """Send a beginning and parts of something endless; return how much was taken of it."""
    client.settimeout(2)
    sent = 0
    with suppress(OSError):
        client.sendall(start)
        while sent < size:
            client.sendall(part)
            sent += len(part)
    return sent


START = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "short header lines": (START, b"a: b\r\n" * 4000),
    "one header": (START + b"Authorization: Bearer ", b"x" * 65536),
    "a path": (b"GET /", b"x" * 65536),
    "a chunk's extension": (CHUNKED + b"1;", b"x" * 65536),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n" * 4000),
    "requests": (b"", (START + b"\r\n") * 1000),
}


@small
@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_input_takes_no_memory(service: Service, kind: str) -> None:
    """Before: 60 MB of header lines took 1.2 GB, requests with unread answers 1.5 GB."""
    before = resident(service)
    beginning, part = ENDLESS[kind]
    with connected(service) as client:
        flood(client, beginning, part, 60 * MEGABYTE)
        assert resident(service) - before < MAX_GROWTH
    assert httpx2.get(f"{service.url}/livez", timeout=5).status_code == 200
    assert service.errors() == []


@small
def test_silent_connections_end(service: Service) -> None:
    with connected(service) as silent, connected(service) as half:
        half.sendall(START)
        for client in (silent, half):
            client.settimeout(30)
            assert client.recv(100).startswith(b"HTTP/1.1 408")


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
EMPTY = struct.pack("!BB", 0x00, 0x80) + bytes(4)  # a continuation without content
FRAMES = {
    "continuations": struct.pack("!BB", 0x01, 0x80) + bytes(4) + EMPTY * 10_000,
    "pings": (struct.pack("!BB", 0x89, 0x80) + bytes(4)) * 10_000,
}


@small
@pytest.mark.parametrize("kind", FRAMES)
def test_frames_without_a_message_delay_nobody(service: Service, kind: str) -> None:
    """Before: others waited 12 to 15 seconds."""
    stopping = threading.Event()

    def attack() -> None:
        while not stopping.is_set():
            with suppress(OSError), connected(service) as client:
                client.sendall(HANDSHAKE)
                client.recv(1000)
                flood(client, b"", FRAMES[kind], MEGABYTE)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        slowest = 0.0
        with httpx2.Client(base_url=service.url, timeout=30) as client:
            for _ in range(50):
                started = time.monotonic()
                assert client.get("/livez").status_code == 200
                slowest = max(slowest, time.monotonic() - started)
                time.sleep(0.05)
        assert slowest < 1
    finally:
        stopping.set()
        attacker.join()


@small
def test_few_files_refuse_connections_and_say_so(installed: Rendered, variant: Answers) -> None:
    limited = ("bash", "-c", 'ulimit -n 300; exec "$@"', "limited", *SERVE)
    with start(installed(**variant), *limited) as service:
        with ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(connected(service))
            time.sleep(0.5)
            with connected(service) as refused:
                assert refused.recv(100).startswith(b"HTTP/1.1 503")
        deadline = time.monotonic() + 15
        while httpx2.get(f"{service.url}/livez", timeout=5).status_code != 200:
            assert time.monotonic() < deadline
        assert "more than 100 connections" in service.log.read_text()


@small
def test_workers_end_with_the_process_that_started_them(
    installed: Rendered, variant: Answers
) -> None:
    with start(installed(**variant), *SERVE, "--workers", "2") as service:
        [parent] = children(service.process.pid)
        workers = psutil.Process(parent).children()
        assert len(workers) >= 2
        os.kill(parent, signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{service.url}/livez", timeout=5)


@pytest.mark.parametrize("variant", SERVERS, indirect=True)
def test_closed_terminal_ends_the_development_server(installed: Rendered, variant: Answers) -> None:
    """And the servers and the worker that it has started."""
    project = installed(**variant)
    with start(project, "uv", "run", "dev.py") as service:
        [parent] = children(service.process.pid)
        started = psutil.Process(parent).children(recursive=True)
        assert len(started) >= 4
        os.kill(parent, signal.SIGHUP)
        _, alive = psutil.wait_procs([psutil.Process(parent), *started], timeout=60)
        assert not alive
