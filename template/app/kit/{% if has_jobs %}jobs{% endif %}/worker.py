"""The worker: `python -m app worker`."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any

from app.kit.jobs import consumer
from app.kit.jobs.job import Job
from app.kit.jobs.running import QueueLost
from app.kit.lifecycle import RootScope
from app.kit.logs import configure_logging
from app.kit.service import Service
from app.kit.settings import KitSettings

__all__ = ["work"]

logger = logging.getLogger(__name__)

_MIN_DELAY_SECONDS = 0.1
_MAX_DELAY_SECONDS = 5.0
# Added to `SHUTDOWN_TIMEOUT`: the queue may not answer a worker that stops.
_EXTRA_SECONDS = 5.0


def run_worker(service: Service) -> None:
    """Run jobs until SIGTERM."""
    settings = service.read_settings()
    configure_logging(settings)
    asyncio.run(work(settings, service.open_root_scope(settings), service.jobs))


async def work(
    settings: KitSettings,
    opening: AbstractAsyncContextManager[RootScope],
    jobs: Mapping[str, Job[Any]],
    *,
    until_empty: bool = False,
) -> None:
    """Run jobs until SIGTERM or SIGINT, then interrupt those that exceed `SHUTDOWN_TIMEOUT`.

    Reconnect to a lost queue. With `until_empty`, return as soon as no job is due, and raise
    QueueLost if the queue does not answer.
    """
    stopping = asyncio.Event()
    async with opening as root_scope:
        if until_empty:
            await consumer.run(settings, root_scope, jobs, stopping, until_empty=True)
            return
        with _stop_signals(stopping):
            delay = _MIN_DELAY_SECONDS
            while not stopping.is_set():
                logger.info("waiting for jobs", extra={"jobs": sorted(jobs)})
                started = asyncio.get_running_loop().time()
                running = consumer.run(settings, root_scope, jobs, stopping, until_empty=False)
                try:
                    await _bounded(running, stopping, settings.shutdown_timeout + _EXTRA_SECONDS)
                except QueueLost as error:
                    logger.warning("the queue does not answer: %s", error)
                if asyncio.get_running_loop().time() - started > _MAX_DELAY_SECONDS:
                    delay = _MIN_DELAY_SECONDS
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), delay)
                delay = min(delay * 2, _MAX_DELAY_SECONDS)


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
    """Run to the end, but at most `seconds` longer than `stopping`."""
    task, stop = asyncio.create_task(running), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            logger.error("jobs or the queue did not end in time")
            task.cancel()
            await asyncio.wait({task}, timeout=_EXTRA_SECONDS)
        if task.done() and not task.cancelled():
            task.result()
    finally:
        task.cancel()
        stop.cancel()
