"""The worker: `python -m app worker`."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any

from app.kit.jobs import consumer
from app.kit.jobs.job import Job
from app.kit.jobs.running import QueueLost
from app.kit.lifecycle import RootScope
from app.kit.logs import configure_logging
from app.kit.outages import Outage
from app.kit.service import Service
from app.kit.settings import KitSettings

__all__ = ["work"]

logger = logging.getLogger(__name__)

_MIN_DELAY_SECONDS = 0.1
_MAX_DELAY_SECONDS = 5.0
# Added to `SHUTDOWN_TIMEOUT`: the queue may not answer a worker that stops.
_EXTRA_SECONDS = 5.0
_CANCEL_SECONDS = 2.0
# Longer than it takes to notice that the queue does not answer.
_CONNECTED_SECONDS = 30.0
# Added to `SHUTDOWN_TIMEOUT`: then the process ends, whatever still runs in it.
_END_SECONDS = 10.0


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

    A signal also ends the process ten seconds after that, if a job ignores its interruption.
    Reconnect to a lost queue. With `until_empty`, return as soon as no job is due, and raise
    QueueLost if the queue does not answer.
    """
    stopping = asyncio.Event()
    if until_empty:
        async with opening as root_scope:
            await consumer.run(settings, root_scope, jobs, stopping, until_empty=True)
        return
    with _stop_signals(stopping, settings.shutdown_timeout + _END_SECONDS):
        async with opening as root_scope:
            await _keep_running(settings, root_scope, jobs, stopping)


async def _keep_running(
    settings: KitSettings,
    root_scope: RootScope,
    jobs: Mapping[str, Job[Any]],
    stopping: asyncio.Event,
) -> None:
    loop, outage, delay = asyncio.get_running_loop(), Outage(logger, "queue"), _MIN_DELAY_SECONDS
    while not stopping.is_set():
        logger.info("waiting for jobs", extra={"jobs": sorted(jobs)})
        started = loop.time()
        connected = loop.call_later(_CONNECTED_SECONDS, outage.succeed)
        running = consumer.run(settings, root_scope, jobs, stopping, until_empty=False)
        try:
            await _bounded(running, stopping, settings.shutdown_timeout + _EXTRA_SECONDS)
        except QueueLost as error:
            outage.fail(error.__cause__ or error)
        finally:
            connected.cancel()
        if loop.time() - started > _MAX_DELAY_SECONDS:
            delay = _MIN_DELAY_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), delay)
        delay = min(delay * 2, _MAX_DELAY_SECONDS)


@contextmanager
def _stop_signals(stopping: asyncio.Event, seconds: float) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    # A thread: asyncio waits for a task that swallows its cancellation for ever.
    ending = threading.Timer(seconds, _end_process)
    ending.daemon = True

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            ending.start()

    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _end_process() -> None:
    logger.error("jobs, or what they use, did not end in time: the process ends without them")
    logging.shutdown()
    os._exit(1)


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
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        if task.done() and not task.cancelled():
            task.result()
    finally:
        task.cancel()
        stop.cancel()
