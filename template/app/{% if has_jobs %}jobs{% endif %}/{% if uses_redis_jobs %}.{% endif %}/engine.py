"""Works off the queue in Redis or Valkey, by streaQ."""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from streaq import StreaqRetry

from app.jobs.job import Job
from app.jobs.running import AttemptFailed, attempt
from app.jobs.sender import TASK, create_worker, failed_key
from app.scopes import RootScope
from app.settings import Settings

logger = logging.getLogger(__name__)

_SILENCE = 20
"""Seconds without a sign of life of a worker, after which its jobs are run again; looked for as often."""
_STREAM_TIMEOUT = 30.0
"""Seconds to wait for an answer: longer than a worker waits for a job."""

# `running` logs how a job went.
logging.getLogger("streaq").setLevel(logging.WARNING)


async def run(
    settings: Settings, root_scope: RootScope, jobs: dict[str, Job[Any]], *, until_empty: bool
) -> None:
    """Run jobs until SIGTERM or SIGINT, or until none is due. Raises what the queue raises when it is lost."""
    worker = create_worker(
        settings,
        _STREAM_TIMEOUT,
        concurrency=settings.job_concurrency,
        idle_timeout=_SILENCE,
        grace_period=settings.shutdown_timeout,
    )
    worker.burst = until_empty

    async def run_job(name: str, arguments: dict[str, Any]) -> None:
        job_id, number = task.context.task_id, task.context.tries
        job = jobs.get(name)
        try:
            # One that ends its worker each time is given up in the end, too.
            if job is not None and number <= job.attempts:
                await attempt(root_scope, job, job_id, number, arguments)
                return
            logger.error("job given up", extra={"job": name, "job_id": job_id})
        except AttemptFailed as failed:
            if failed.retry_in is not None:
                raise StreaqRetry(delay=timedelta(seconds=failed.retry_in)) from None
        await worker.redis.hset(failed_key(worker), {job_id: json.dumps([name, arguments])})

    def scheduled(name: str) -> Callable[[], Awaitable[None]]:
        async def run_scheduled() -> None:
            await run_job(name, {})

        return run_scheduled

    # Attempts and deadlines are the job's own, and nobody reads a result.
    task = worker.task(name=TASK, max_tries=None, timeout=None, ttl=0, silent=True)(run_job)
    for name, job in jobs.items():
        if job.cron:
            worker.cron(
                job.cron, name=name, max_tries=None, timeout=None, ttl=0, silent=True, unique=False
            )(scheduled(name))
    await worker.run_async()
