"""Puts jobs into Redis or Valkey, by streaQ."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import uuid4

from streaq import Worker
from streaq.task import Task

from app.errors import Unavailable
from app.jobs.job import FailedJob
from app.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

TASK = "run"
"""The one function that streaQ knows: it is given the job's name."""
_DEADLINE = 2.0
"""Seconds for a request to put a job into the queue."""
_PAUSE = 0.05
"""Seconds until the next attempt, within the deadline."""


def create_worker(settings: Settings, stream_timeout: float, **options: Any) -> Worker[None]:
    """Return streaQ's worker, which is its client, too. `stream_timeout`: seconds to wait for any answer."""
    return Worker(
        settings.redis_url,
        queue_name=settings.redis_prefix,
        redis_kwargs={"connect_timeout": _DEADLINE, "stream_timeout": stream_timeout},
        serializer=lambda value: json.dumps(value, default=repr),
        deserializer=json.loads,
        **options,
    )


def failed_key(worker: Worker[None]) -> str:
    """Return the key of the hash in which failed jobs are kept, by their ids."""
    return f"{worker.prefix}:failed"


class JobSender:
    """One connection for all who enqueue; it is opened when it is first used, and again when it was lost."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._holding: asyncio.Task[None] | None = None
        self._worker: Worker[None] | None = None
        self._opened = asyncio.Event()
        self._lost = asyncio.Event()

    async def send(self, name: str, arguments: dict[str, Any]) -> None:
        """Put a job into the queue, once. Raises Unavailable if the server does not answer in time."""
        await self._send(uuid4().hex, name, arguments)

    async def failed(self) -> Sequence[FailedJob]:
        """Return the jobs that have had all their attempts. Raises Unavailable."""
        kept = await self._call(lambda worker: worker.redis.hgetall(failed_key(worker)))
        return [FailedJob(job_id, *json.loads(what)) for job_id, what in kept.items()]

    async def retry(self, job_id: str) -> bool:
        """Let a failed job begin anew. Return False if there is none with the id. Raises Unavailable."""
        kept = await self._call(lambda worker: worker.redis.hget(failed_key(worker), job_id))
        if kept is None:
            return False
        name, arguments = json.loads(kept)
        await self._send(job_id, name, arguments)  # first: better twice than never
        await self._call(lambda worker: worker.redis.hdel(failed_key(worker), [job_id]))
        return True

    async def close(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.wait([self._holding])

    async def _send(self, job_id: str, name: str, arguments: dict[str, Any]) -> None:
        async def publish(worker: Worker[None]) -> None:
            task: Task[Any, Any] = worker.enqueue_unsafe(TASK, name, arguments)
            task.id = job_id  # sent again after a lost answer, it is still one job
            await task

        await self._call(publish)

    async def _call(self, action: Callable[[Worker[None]], Awaitable[T]]) -> T:
        self._holding = self._holding or asyncio.create_task(self._hold())
        try:
            async with asyncio.timeout(_DEADLINE):
                while True:
                    await self._opened.wait()
                    worker = self._worker
                    assert worker is not None
                    try:
                        return await action(worker)
                    except Exception as error:  # lost, or a server that was emptied
                        logger.warning("the queue does not answer: %r", error)
                        if worker is self._worker:
                            self._opened.clear()
                            self._lost.set()
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise Unavailable("The queue does not answer.") from None

    async def _hold(self) -> None:
        """Hold the connection open, in a task of its own: only the task that opens it may close it."""
        while True:
            with suppress(Exception):
                async with create_worker(self._settings, _DEADLINE) as self._worker:
                    self._lost.clear()
                    self._opened.set()
                    await self._lost.wait()
            await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def open_job_sender(settings: Settings) -> AsyncIterator[JobSender]:
    """Yield what enqueues; nothing is connected yet."""
    sender = JobSender(settings)
    try:
        yield sender
    finally:
        await sender.close()
