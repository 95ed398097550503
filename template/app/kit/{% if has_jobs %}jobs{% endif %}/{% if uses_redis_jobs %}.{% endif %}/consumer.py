"""Runs the jobs in Redis or Valkey, with streaQ."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from anyio import CancelScope
from coredis.exceptions import RedisError
from streaq import StreaqRetry, Worker

from app.kit.jobs.job import Job
from app.kit.jobs.running import AttemptFailed, QueueLost, attempt
from app.kit.jobs.sender import TASK, connection_options, failed_key
from app.kit.lifecycle import RootScope
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

# A worker without a heartbeat for this long is dead: its jobs run again.
_SILENCE_SECONDS = 20
# Longer than a worker waits for a job.
_STREAM_TIMEOUT_SECONDS = 30.0

# `running` logs the outcome of each job.
logging.getLogger("streaq").setLevel(logging.WARNING)


class _Worker(Worker[None]):
    def __init__(self, settings: KitSettings, stopping: asyncio.Event) -> None:
        super().__init__(
            **connection_options(settings, _STREAM_TIMEOUT_SECONDS),
            concurrency=settings.job_concurrency,
            idle_timeout=_SILENCE_SECONDS,
        )
        # As many as run at once: a job that waits inside the worker has no heartbeat.
        self.prefetch = settings.job_concurrency
        self.stopping = stopping
        self.attempts: set[asyncio.Task[None]] = set()

    async def signal_handler(self, scope: CancelScope) -> None:
        """Wait for `stopping` instead of signals, which `worker` handles."""
        await self.stopping.wait()
        scope.cancel()

    async def producer(self, *arguments: Any, **options: Any) -> None:
        """Interrupt running jobs when the queue is lost: another worker runs them meanwhile."""
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
        settings: KitSettings,
        root_scope: RootScope,
        jobs: Mapping[str, Job[Any]],
        stopping: asyncio.Event,
    ) -> None:
        self.root_scope = root_scope
        self.jobs = jobs
        self.worker = _Worker(settings, stopping)
        # Jobs have their own attempts and deadlines, and no result.
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
        # `number` is larger if the job killed its worker in the last attempt.
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
        entry = {job_id: json.dumps([name, arguments])}
        await self.worker.redis.hset(failed_key(self.worker), entry)


async def delete_old_schedules(client: Worker[None], scheduled: Collection[str]) -> None:
    """Delete the schedules of jobs that were renamed or removed."""
    for name in await client.redis.hkeys(client.cron_registry_key):
        if name not in scheduled:
            await client.unschedule_by_id(name)


async def run(
    settings: KitSettings,
    root_scope: RootScope,
    jobs: Mapping[str, Job[Any]],
    stopping: asyncio.Event,
    *,
    until_empty: bool,
) -> None:
    """Run jobs until `stopping` is set or, with `until_empty`, none is due. Raise QueueLost."""
    consumer = _Consumer(settings, root_scope, jobs, stopping)
    consumer.worker.burst = until_empty
    late = asyncio.create_task(_interrupt_late(consumer.worker, settings.shutdown_timeout))
    try:
        async with Worker(**connection_options(settings, _STREAM_TIMEOUT_SECONDS)) as client:
            await delete_old_schedules(client, consumer.scheduled.keys())
        await consumer.worker.run_async()
    except* (RedisError, OSError) as group:
        raise QueueLost(repr(group.exceptions[0])) from group
    finally:
        late.cancel()


async def _interrupt_late(worker: _Worker, shutdown_timeout: float) -> None:
    await worker.stopping.wait()
    await asyncio.sleep(shutdown_timeout)
    worker.interrupt()
