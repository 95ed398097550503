"""Tells endless streams that the server is stopping.

The server closes the app after the last response, so an endless stream would delay the shutdown.
This listens to SIGTERM and SIGINT as the server does.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopping:
    """An event that is set when the server begins to stop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Set the event; signal handlers may call this."""
        self._loop.call_soon_threadsafe(self._begun.set)

    async def wait(self, seconds: float) -> bool:
        """Return True as soon as the server stops, or False after some seconds."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._begun.wait()
        except TimeoutError:
            return self._begun.is_set()
        return True


@contextmanager
def open_stopping() -> Iterator[Stopping]:
    """Yield the event, set by the signals that stop the server."""
    stopping = Stopping()
    numbers = (signal.SIGTERM, signal.SIGINT)
    # In a command or a worker the default handler is no function: the signal ends the process.
    before: dict[int, Callable[[int, FrameType | None], object]] = {
        number: handler for number in numbers if callable(handler := signal.getsignal(number))
    }

    def begin(number: int, frame: FrameType | None) -> None:
        stopping.begin()
        before[number](number, frame)

    # Only the main thread may handle signals.
    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, begin)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is begin:
                signal.signal(number, handler)
