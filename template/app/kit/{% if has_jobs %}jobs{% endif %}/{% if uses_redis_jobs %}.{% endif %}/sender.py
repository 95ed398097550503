"""Enqueues jobs in Redis or Valkey, with streaQ."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from coredis.retry import NoRetryPolicy
from streaq import Worker
from streaq.task import Task

from app.kit.errors import Unavailable, raises
from app.kit.jobs.job import FailedJob
from app.kit.outages import Outage
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

# The client logs a traceback for each error that it raises.
logging.getLogger("coredis").setLevel(logging.CRITICAL)

T = TypeVar("T")

TASK = "run"
"""The only task that streaQ knows; it gets the name of the job."""
_DEADLINE_SECONDS = 2.0
# Short enough for a second attempt over another connection.
_STREAM_TIMEOUT_SECONDS = 0.8
_RECONNECT_DELAY_SECONDS = 0.25


def connection_options(settings: KitSettings, stream_timeout: float) -> dict[str, Any]:
    """Return the options of streaQ's `Worker`, which is also its client.

    `stream_timeout` is the number of seconds to wait for an answer.
    """
    return {
        "redis_url": settings.job_redis_url or settings.redis_url,
        "queue_name": settings.key_prefix,
        "redis_kwargs": {
            "connect_timeout": _DEADLINE_SECONDS / 2,
            "stream_timeout": stream_timeout,
            "decode_components": True,  # a secret may be percent-encoded
            "retry_policy": NoRetryPolicy(),  # JobSender retries, over another connection
        },
        "serializer": lambda value: json.dumps(value, default=repr),
        "deserializer": json.loads,
    }


def failed_key(worker: Worker[None]) -> str:
    """Return the key of the hash that holds the failed jobs by id."""
    return f"{worker.prefix}:failed"


class PrefixedWorker(Worker[None]):
    """streaQ's worker and client, whose keys begin with the service's prefix."""

    @property
    def prefix(self) -> str:
        """The name of the queue, without the `streaq:` that streaQ puts before it."""
        return self.queue_name

    @prefix.setter
    def prefix(self, value: str) -> None: ...


@raises(Unavailable)
class JobSender:
    """One shared connection, opened on first use and again after it was lost.

    While the server is down, calls fail at once.
    """

    def __init__(self, settings: KitSettings) -> None:
        self._settings = settings
        self._holding: asyncio.Task[None] | None = None
        self._worker: Worker[None] | None = None
        self._tried = asyncio.Event()
        self._lost = asyncio.Event()
        self._closing = False
        self._outage = Outage(logger, "queue")

    async def send(self, job_id: str, name: str, arguments: dict[str, Any]) -> None:
        """Enqueue a job, unless the queue has one with this id. Raise Unavailable."""

        async def publish(worker: Worker[None]) -> None:
            task: Task[Any, Any] = worker.enqueue_unsafe(TASK, name, arguments)
            task.id = job_id
            await task

        await self._call(publish)

    async def list_failed(self) -> Sequence[FailedJob]:
        """Return the jobs without attempts left. Raise Unavailable."""
        kept = await self._call(lambda worker: worker.redis.hgetall(failed_key(worker)))
        return [FailedJob(job_id, *json.loads(what)) for job_id, what in kept.items()]

    async def retry(self, job_id: str) -> bool:
        """Run a failed job again. Return False if no failed job has the id. Raise Unavailable."""
        kept = await self._call(lambda worker: worker.redis.hget(failed_key(worker), job_id))
        if kept is None:
            return False
        name, arguments = json.loads(kept)
        # Send first: running twice is better than losing the job.
        await self.send(job_id, name, arguments)
        return await self.delete(job_id)

    async def delete(self, job_id: str) -> bool:
        """Delete a failed job. Return False if no failed job has the id. Raise Unavailable."""
        done = await self._call(lambda worker: worker.redis.hdel(failed_key(worker), [job_id]))
        return bool(done)

    async def close(self) -> None:
        self._closing = True
        while self._holding is not None and not self._holding.done():
            # Repeated: the client may swallow a cancellation while it connects.
            self._holding.cancel()
            await asyncio.wait([self._holding], timeout=_RECONNECT_DELAY_SECONDS)

    async def _call(self, action: Callable[[Worker[None]], Awaitable[T]]) -> T:
        """Return what the action does, over a second connection if the first one is lost."""
        if self._holding is None or self._holding.done():
            self._holding = asyncio.create_task(self._hold())
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                for _ in range(2):
                    await self._tried.wait()
                    worker = self._worker
                    if worker is None:
                        break
                    try:
                        done = await action(worker)
                        self._outage.succeed()
                        return done
                    except Exception as error:  # the connection is lost, or the server was emptied
                        self._outage.fail(error)
                        if worker is self._worker:
                            self._worker = None
                            self._tried.clear()
                            self._lost.set()
        except TimeoutError as error:
            self._outage.fail(error)
        raise Unavailable("The queue does not answer.")

    async def _hold(self) -> None:
        """Keep the connection open. The task that opens it must close it, so it has its own."""
        while not self._closing:
            try:
                options = connection_options(self._settings, _STREAM_TIMEOUT_SECONDS)
                worker = PrefixedWorker(**options)
                async with worker:
                    self._lost.clear()
                    self._worker = worker
                    self._tried.set()
                    await self._lost.wait()
            except Exception as error:
                self._outage.fail(error)
                self._tried.set()
            finally:
                self._worker = None
            await asyncio.sleep(_RECONNECT_DELAY_SECONDS)


@asynccontextmanager
async def open_job_sender(settings: KitSettings) -> AsyncIterator[JobSender]:
    """Yield a sender, which connects on first use."""
    sender = JobSender(settings)
    try:
        yield sender
    finally:
        await sender.close()
