"""Server-sent events of a real server."""

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
from app.kit.lifecycle import Override, override
from app.settings import Settings
from tests.examples.serving import serve


@asynccontextmanager
async def ids(app: FastAPI, last: int | None = None) -> AsyncIterator[AsyncIterator[int]]:
    """Yield the ids of the events as they arrive."""
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


async def test_stream_starts_with_the_current_second(app: FastAPI) -> None:
    before = int(time.time())
    async with ids(app) as coming:
        first = await anext(coming)
        assert before <= first <= time.time()
        assert await anext(coming) == first + 1


async def test_stream_resumes_after_the_last_event(app: FastAPI) -> None:
    last = int(time.time()) - 10
    async with ids(app, last) as coming:
        assert [await anext(coming) for _ in range(5)] == [last + n for n in range(1, 6)]


async def test_quick_reconnect_repeats_no_event(app: FastAPI) -> None:
    last = int(time.time())
    async with ids(app, last) as coming:
        assert await anext(coming) == last + 1


async def test_replay_is_bounded(app: FastAPI) -> None:
    async with ids(app, 0) as coming:
        assert time.time() - 75 < await anext(coming) < time.time() - 50


async def test_future_event_id_starts_now(app: FastAPI) -> None:
    async with ids(app, 10**12) as coming:
        assert await anext(coming) < time.time() + 5


async def test_stream_ends_when_the_server_stops(
    settings: Settings, overrides: list[Override]
) -> None:
    stopping = Stopping()
    app = create_app(settings, [*overrides, override(Stopping, stopping)])
    async with ids(app) as coming:
        await anext(coming)
        stopping.begin()
        assert len([event async for event in coming]) <= 1  # one may have been sent already


async def test_signal_sets_the_event_and_reaches_the_server() -> None:
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


def test_signal_ends_a_process_without_a_server() -> None:
    done = subprocess.run([sys.executable, "-c", _COMMAND], timeout=30, check=False)
    assert done.returncode == -signal.SIGTERM


def test_event_works_outside_the_main_thread() -> None:
    """`TestClient` runs the app in a thread."""
    results: list[bool] = []

    async def wait() -> None:
        with open_stopping() as stopping:
            results.append(await stopping.wait(0))

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    thread.join(30)
    assert results == [False]
