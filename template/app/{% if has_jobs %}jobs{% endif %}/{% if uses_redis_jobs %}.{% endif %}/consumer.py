"""Takes jobs from Redis or Valkey and runs them, by streaQ."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any

from anyio import CancelScope
from coredis.exceptions import RedisError
from streaq import StreaqRetry, Worker

from app.jobs.job import Job
from app.jobs.running import AttemptFailed, QueueLost, attempt
from app.jobs.sender import TASK, connection_options, failed_key
from app.scopes import RootScope
from app.settings import Settings

logger = logging.getLogger(__name__)

_SILENCE = 20
"""Seconds without a sign of life of a worker, after which its jobs are run again; looked for as often."""
_STREAM_TIMEOUT = 30.0
"""Seconds to wait for an answer: longer than a worker waits for a job."""

# `running` logs how a job went.
logging.getLogger("streaq").setLevel(logging.WARNING)


class _Worker(Worker[None]):
    def __init__(self, settings: Settings, stopping: asyncio.Event) -> None:
        super().__init__(
            **connection_options(settings, _STREAM_TIMEOUT),
            concurrency=settings.job_concurrency,
            idle_timeout=_SILENCE,
        )
        # No more than can be run: what waits in a worker shows no sign of life.
        self.prefetch = settings.job_concurrency
        self.stopping = stopping
        self.attempts: set[asyncio.Task[None]] = set()

    async def signal_handler(self, scope: CancelScope) -> None:
        """Stop when we say: signals are `worker`'s."""
        await self.stopping.wait()
        scope.cancel()

    async def producer(self, *arguments: Any, **options: Any) -> None:
        """Interrupt what runs when the queue is lost: streaQ would wait for it, and others run it meanwhile."""
        try:
            await super().producer(*arguments, **options)
        finally:
            if not self.stopping.is_set():
                self.interrupt()

    def interrupt(self) -> None:
        for each in self.attempts:
            each.cancel()


class _Consumer:
    def __init__(
        self,
        settings: Settings,
        root_scope: RootScope,
        jobs: dict[str, Job[Any]],
        stopping: asyncio.Event,
    ) -> None:
        self.root_scope = root_scope
        self.jobs = jobs
        self.worker = _Worker(settings, stopping)
        # Attempts and deadlines are the job's own, and nobody reads a result.
        options: dict[str, Any] = {"max_tries": None, "timeout": None, "ttl": 0, "silent": True}
        self.task = self.worker.task(name=TASK, **options)(self.run_job)
        self.scheduled = {f"cron:{job.name}": job for job in jobs.values() if job.cron}
        for name, job in self.scheduled.items():
            cron = self.worker.cron(job.cron or "", name=name, unique=False, **options)
            cron(self._runner(job.name))

    def _runner(self, name: str) -> Callable[[], Awaitable[None]]:
        async def run_scheduled() -> None:
            await self.run_job(name, {})

        return run_scheduled

    async def run_job(self, name: str, arguments: dict[str, Any]) -> None:
        job_id, number = self.task.context.task_id, self.task.context.tries
        job = self.jobs.get(name)
        # One that ends its worker each time is given up in the end, too.
        if job is None or number > job.attempts:
            logger.error("job given up", extra={"job": name, "job_id": job_id})
        else:
            running = asyncio.create_task(attempt(self.root_scope, job, job_id, number, arguments))
            self.worker.attempts.add(running)
            try:
                await running
                return
            except AttemptFailed as failed:
                if failed.retry_in is not None:
                    raise StreaqRetry(delay=timedelta(seconds=failed.retry_in)) from None
            finally:
                self.worker.attempts.discard(running)
        kept = json.dumps([name, arguments])
        await self.worker.redis.hset(failed_key(self.worker), {job_id: kept})


async def forget_schedules(client: Worker[None], scheduled: Collection[str]) -> None:
    """Drop those of jobs that have been renamed or deleted."""
    for name in await client.redis.hkeys(client.cron_registry_key):
        if name not in scheduled:
            await client.unschedule_by_id(name)


async def run(
    settings: Settings,
    root_scope: RootScope,
    jobs: dict[str, Job[Any]],
    stopping: asyncio.Event,
    *,
    until_empty: bool,
) -> None:
    """Run jobs until `stopping` is set, or until none is due. Raises QueueLost."""
    consumer = _Consumer(settings, root_scope, jobs, stopping)
    consumer.worker.burst = until_empty
    late = asyncio.create_task(_interrupt_late(consumer.worker, settings.shutdown_timeout))
    try:
        async with Worker(**connection_options(settings, _STREAM_TIMEOUT)) as client:
            await forget_schedules(client, consumer.scheduled.keys())
        await consumer.worker.run_async()
    except* (RedisError, OSError) as group:
        raise QueueLost(repr(group.exceptions[0])) from group
    finally:
        late.cancel()


async def _interrupt_late(worker: _Worker, shutdown_timeout: float) -> None:
    await worker.stopping.wait()
    await asyncio.sleep(shutdown_timeout)
    worker.interrupt()
