"""The worker: `python -m app worker`."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from app.jobs import consumer
from app.jobs.job import declared_jobs
from app.jobs.running import QueueLost
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope

logger = logging.getLogger(__name__)

_MIN_DELAY, _MAX_DELAY = 0.1, 5.0
"""Seconds between attempts to come back to a queue that is down."""
_PATIENCE = 5.0
"""Seconds beyond `SHUTDOWN_TIMEOUT` for a queue that does not answer a worker that wants to stop."""


async def work(
    settings: Settings, overrides: Sequence[Override] = (), *, until_empty: bool = False
) -> None:
    """Run jobs until SIGTERM or SIGINT; those that run have `SHUTDOWN_TIMEOUT` to end, else they are interrupted.

    A queue that is lost is waited for. With `until_empty` return as soon as no job is due, and raise QueueLost.
    """
    jobs = declared_jobs()
    stopping = asyncio.Event()
    async with open_root_scope(settings, overrides) as root_scope:
        if until_empty:
            await consumer.run(settings, root_scope, jobs, stopping, until_empty=True)
            return
        with _stop_signals(stopping):
            delay = _MIN_DELAY
            while not stopping.is_set():
                logger.info("waiting for jobs", extra={"jobs": sorted(jobs)})
                started = asyncio.get_running_loop().time()
                running = consumer.run(settings, root_scope, jobs, stopping, until_empty=False)
                try:
                    await _bounded(running, stopping, settings.shutdown_timeout + _PATIENCE)
                except QueueLost as error:
                    logger.warning("the queue does not answer: %s", error)
                if asyncio.get_running_loop().time() - started > _MAX_DELAY:
                    delay = _MIN_DELAY
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), delay)
                delay = min(delay * 2, _MAX_DELAY)


@contextmanager
def _stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _bounded(
    running: Coroutine[Any, Any, None], stopping: asyncio.Event, seconds: float
) -> None:
    """Run to the end, but no longer than some seconds after it shall stop."""
    task, stop = asyncio.create_task(running), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            logger.error("jobs or the queue did not end in time")
            task.cancel()
            await asyncio.wait({task}, timeout=_PATIENCE)
        if task.done() and not task.cancelled():
            task.result()
    finally:
        task.cancel()
        stop.cancel()
