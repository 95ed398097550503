"""Server-sent events, from a real server."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.application import create_app
from app.examples.stopping import Stopping, open_stopping
from app.overrides import Override, override
from app.settings import Settings
from tests.examples.serving import serve


@asynccontextmanager
async def ids(app: FastAPI, last: int | None = None) -> AsyncIterator[AsyncIterator[int]]:
    """Yield the ids of the events as they come."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with (
        asyncio.timeout(20),
        serve(app) as url,
        AsyncClient(base_url=url) as client,
        client.stream("GET", "/examples/events", headers=headers) as response,
    ):
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield (
            int(line.removeprefix("id: "))
            async for line in response.aiter_lines()
            if line.startswith("id: ")
        )


async def test_it_begins_now_and_goes_on(app: FastAPI) -> None:
    before = int(time.time())
    async with ids(app) as coming:
        first = await anext(coming)
        assert before <= first <= time.time()
        assert await anext(coming) == first + 1


async def test_it_goes_on_where_its_reader_left_off(app: FastAPI) -> None:
    last = int(time.time()) - 10
    async with ids(app, last) as coming:
        assert [await anext(coming) for _ in range(5)] == [last + n for n in range(1, 6)]


async def test_no_event_comes_twice(app: FastAPI) -> None:
    """Also if the reader is back within the second."""
    last = int(time.time())
    async with ids(app, last) as coming:
        assert await anext(coming) == last + 1


async def test_what_is_too_old_is_gone(app: FastAPI) -> None:
    async with ids(app, 0) as coming:
        assert time.time() - 75 < await anext(coming) < time.time() - 50


async def test_what_will_be_is_not_waited_for(app: FastAPI) -> None:
    async with ids(app, 10**12) as coming:
        assert await anext(coming) < time.time() + 5


async def test_it_ends_when_the_server_stops(settings: Settings, overrides: list[Override]) -> None:
    stopping = Stopping()
    app = create_app(settings, [*overrides, override(Stopping, stopping)])
    async with ids(app) as coming:
        await anext(coming)
        stopping.begin()
        assert len([event async for event in coming]) <= 1  # one may have been on its way


async def test_the_signals_of_the_server_tell_it() -> None:
    seen: list[int] = []

    def handle(number: int, _: object) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with open_stopping() as stopping:
            assert not await stopping.wait(0)
            signal.raise_signal(signal.SIGTERM)
            assert await stopping.wait(5)
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)


_COMMAND = """
import asyncio, signal
from app.examples.stopping import open_stopping

async def main():
    with open_stopping():
        signal.raise_signal(signal.SIGTERM)

asyncio.run(main())
"""


def test_without_a_server_a_signal_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", _COMMAND], timeout=30, check=False)
    assert done.returncode == -signal.SIGTERM


def test_where_no_signals_come_it_waits_all_the_same() -> None:
    """In a thread, as under `TestClient`."""
    results: list[bool] = []

    async def wait() -> None:
        with open_stopping() as stopping:
            results.append(await stopping.wait(0))

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    thread.join(30)
    assert results == [False]
