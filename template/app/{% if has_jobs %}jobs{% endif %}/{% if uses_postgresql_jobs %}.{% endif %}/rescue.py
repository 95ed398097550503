"""Takes over what dead workers held."""

import logging
from typing import Any

from sqlalchemy import text

from app.database import Session, Transaction
from app.jobs.job import Job
from app.scopes import RootScope

logger = logging.getLogger(__name__)

# Locked, so that of several workers one takes over, once.
_HELD = text(
    "SELECT job.id, task_name, attempts FROM procrastinate_jobs AS job"
    " LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id"
    " WHERE status = 'doing'"
    " AND (worker.id IS NULL OR last_heartbeat < now() - make_interval(secs => :silence))"
    " FOR UPDATE OF job SKIP LOCKED"
)
_AGAIN = text("SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)")
_GIVE_UP = text("SELECT procrastinate_finish_job_v1(:id, 'failed', false)")


async def rescue(root_scope: RootScope, jobs: dict[str, Job[Any]], silence: float) -> None:
    """Queue again what workers hold that have shown no sign of life for `silence` seconds.

    A job that ends its worker each time is given up in the end. Raises Unavailable.
    """
    async with root_scope.new_scope() as scope:
        session, transaction = await scope.resolve(Session), await scope.resolve(Transaction)
        async with transaction:
            for held in await session.execute(_HELD, {"silence": silence}):
                job = jobs.get(held.task_name)
                last = job is not None and held.attempts + 1 >= job.attempts
                await session.execute(_GIVE_UP if last else _AGAIN, {"id": held.id})
                logger.log(
                    logging.ERROR if last else logging.WARNING,
                    "job given up" if last else "job taken over",
                    extra={"job": held.task_name, "attempt": held.attempts + 1},
                )
