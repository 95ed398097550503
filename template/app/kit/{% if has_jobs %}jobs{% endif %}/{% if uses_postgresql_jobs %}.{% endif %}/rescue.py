"""Takes over the jobs of dead workers."""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from app.kit.database import Database
from app.kit.jobs.job import Job
from app.kit.lifecycle import RootScope

logger = logging.getLogger(__name__)

# The lock lets one of several workers take over a job.
_HELD = text(
    "SELECT job.id, task_name, attempts FROM procrastinate_jobs AS job"
    " LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id"
    " WHERE status = 'doing'"
    " AND (worker.id IS NULL OR last_heartbeat < now() - make_interval(secs => :silence))"
    " FOR UPDATE OF job SKIP LOCKED"
)
_AGAIN = text("SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)")
_GIVE_UP = text("SELECT procrastinate_finish_job_v1(:id, 'failed', false)")


async def rescue(root_scope: RootScope, jobs: Mapping[str, Job[Any]], silence: float) -> None:
    """Enqueue the jobs of workers without a heartbeat for `silence` seconds. Raise Unavailable.

    A job that kills its worker in every attempt ends as failed.
    """
    async with root_scope.new_scope() as scope:
        db = await scope.resolve(Database)
        async with db.transaction():
            for held in await db.execute(_HELD, {"silence": silence}):
                job = jobs.get(held.task_name)
                last = job is not None and held.attempts + 1 >= job.attempts
                await db.execute(_GIVE_UP if last else _AGAIN, {"id": held.id})
                logger.log(
                    logging.ERROR if last else logging.WARNING,
                    "job given up" if last else "job taken over",
                    extra={"job": held.task_name, "attempt": held.attempts + 1},
                )
