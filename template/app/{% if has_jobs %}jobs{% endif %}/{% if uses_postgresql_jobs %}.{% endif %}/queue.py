"""The queue in PostgreSQL: Procrastinate's tables, and its own functions to write to them."""

import json
from collections.abc import Sequence

from sqlalchemy import text

from app.database import Session, Transaction
from app.jobs.job import FailedJob, Job, P

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    "'default', :name, 0, NULL, NULL, CAST(:arguments AS jsonb), NULL"
    ")::procrastinate_job_to_defer_v1])"
)
_FAILED = text(
    "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'failed' ORDER BY id"
)
# A retry counts as one more attempt: this one begins anew.
_FORGET_ATTEMPTS = text(
    "UPDATE procrastinate_jobs SET attempts = -1 WHERE id = :id AND status = 'failed' RETURNING id"
)
_RETRY = text("SELECT procrastinate_retry_job_v2(:id, NULL, NULL, NULL, NULL)")


class JobQueue:
    """Enqueues a job in the transaction of the rows that it is about: rolled back, there is none."""

    def __init__(self, session: Session, transaction: Transaction) -> None:
        self.session = session
        self.transaction = transaction

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Put a job into the queue. Raises TypeError or ValidationError for arguments that do not fit, and Unavailable."""
        arguments = json.dumps(job.dump(*args, **kwargs))
        async with self.transaction:
            await self.session.execute(_DEFER, {"name": job.name, "arguments": arguments})

    async def failed(self) -> Sequence[FailedJob]:
        """Return the jobs that have had all their attempts, the oldest first."""
        rows = await self.session.execute(_FAILED)
        return [FailedJob(str(row.id), row.task_name, row.args) for row in rows]

    async def retry(self, job_id: str) -> bool:
        """Let a failed job begin anew. Return False if there is none with the id."""
        if not job_id.isdecimal():
            return False
        async with self.transaction:
            found = await self.session.execute(_FORGET_ATTEMPTS, {"id": int(job_id)})
            if not found.first():
                return False
            await self.session.execute(_RETRY, {"id": int(job_id)})
        return True
