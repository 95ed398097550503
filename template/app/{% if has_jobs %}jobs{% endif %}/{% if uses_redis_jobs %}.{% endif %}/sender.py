"""Puts jobs into Redis or Valkey, by streaQ."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

from coredis.retry import NoRetryPolicy
from streaq import Worker
from streaq.task import Task

from app.errors import Unavailable
from app.jobs.job import FailedJob
from app.settings import Settings

logger = logging.getLogger(__name__)

# A connection that fails raises where it is used; the client would log its traceback as well.
logging.getLogger("coredis").setLevel(logging.CRITICAL)

T = TypeVar("T")

TASK = "run"
"""The one function that streaQ knows: it is given the job's name."""
_DEADLINE = 2.0
"""Seconds for a request to put a job into the queue."""
_STREAM_TIMEOUT = 0.8
"""Seconds to wait for an answer: there is time for a second attempt, over another connection."""
_PAUSE = 0.25
"""Seconds until the next attempt to connect."""
_REST = 1.0
"""Seconds for which nobody waits for a server that has just let somebody down: a request may have many jobs."""


def connection_options(settings: Settings, stream_timeout: float) -> dict[str, Any]:
    """Return how streaQ's worker, which is its client, too, comes to the queue. `stream_timeout`: seconds."""
    return {
        "redis_url": settings.job_redis_url or settings.redis_url,
        "queue_name": settings.redis_prefix,
        "redis_kwargs": {
            "connect_timeout": _DEADLINE / 2,
            "stream_timeout": stream_timeout,
            "retry_policy": NoRetryPolicy(),  # who waits tries again, over another connection
        },
        "serializer": lambda value: json.dumps(value, default=repr),
        "deserializer": json.loads,
    }


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
        self._closing = False
        self._complained = False
        self._rest_until = 0.0

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
        return await self.delete(job_id)

    async def delete(self, job_id: str) -> bool:
        """Forget a failed job. Return False if there is none with the id. Raises Unavailable."""
        done = await self._call(lambda worker: worker.redis.hdel(failed_key(worker), [job_id]))
        return bool(done)

    async def close(self) -> None:
        self._closing = True
        while self._holding is not None and not self._holding.done():
            self._holding.cancel()  # which the client drops at times, while it connects
            await asyncio.wait([self._holding], timeout=_PAUSE)

    async def _send(self, job_id: str, name: str, arguments: dict[str, Any]) -> None:
        async def publish(worker: Worker[None]) -> None:
            task: Task[Any, Any] = worker.enqueue_unsafe(TASK, name, arguments)
            task.id = job_id  # sent again after a lost answer, it is still one job
            await task

        await self._call(publish)

    async def _call(self, action: Callable[[Worker[None]], Awaitable[T]]) -> T:
        if not self._opened.is_set() and time.monotonic() < self._rest_until:
            raise Unavailable("The queue does not answer.")
        if self._holding is None or self._holding.done():
            self._holding = asyncio.create_task(self._hold())
        try:
            async with asyncio.timeout(_DEADLINE):
                while True:
                    await self._opened.wait()
                    worker = self._worker
                    assert worker is not None
                    try:
                        return await action(worker)
                    except Exception as error:  # lost, or a server that was emptied
                        self._complain(error)
                        if worker is self._worker:
                            self._opened.clear()
                            self._lost.set()
        except TimeoutError:
            self._rest_until = time.monotonic() + _REST
            raise Unavailable("The queue does not answer.") from None

    async def _hold(self) -> None:
        """Hold the connection open, in a task of its own: only the task that opens it may close it."""
        while not self._closing:
            try:
                worker: Worker[None] = Worker(**connection_options(self._settings, _STREAM_TIMEOUT))
                async with worker:
                    self._lost.clear()
                    self._worker, self._complained = worker, False
                    self._opened.set()
                    await self._lost.wait()
            except Exception as error:
                self._complain(error)
            finally:
                self._opened.clear()
            await asyncio.sleep(_PAUSE)

    def _complain(self, error: Exception) -> None:
        """Log why, once for an outage."""
        if not self._complained:
            self._complained = True
            logger.warning("the queue does not answer: %r", error)


@asynccontextmanager
async def open_job_sender(settings: Settings) -> AsyncIterator[JobSender]:
    """Yield what enqueues; nothing is connected yet."""
    sender = JobSender(settings)
    try:
        yield sender
    finally:
        await sender.close()
