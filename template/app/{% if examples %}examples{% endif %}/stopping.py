"""Tells streams without an end that the server was asked to stop.

The server tells the app only once the last response has ended, which such a stream would put off until it is
cut: so this listens to SIGTERM and SIGINT, too, where the server does.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopping:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """May be called by a signal handler."""
        self._loop.call_soon_threadsafe(self._begun.set)

    async def wait(self, seconds: float) -> bool:
        """Return True as soon as it begins, or False after so many seconds."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._begun.wait()
        except TimeoutError:
            return self._begun.is_set()
        return True


@contextmanager
def open_stopping() -> Iterator[Stopping]:
    stopping = Stopping()
    numbers = (signal.SIGTERM, signal.SIGINT)
    # Without a server (a command, a job) a signal ends the process, as it should.
    before: dict[int, Callable[[int, FrameType | None], object]] = {
        number: handler for number in numbers if callable(handler := signal.getsignal(number))
    }

    def begin(number: int, frame: FrameType | None) -> None:
        stopping.begin()
        before[number](number, frame)

    # Python lets only the main thread listen.
    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, begin)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is begin:
                signal.signal(number, handler)
