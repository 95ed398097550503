"""The queue in PostgreSQL: Procrastinate's tables, and its functions that write to them."""

import json
from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import text

from app.database import Session, Transaction
from app.jobs.job import FailedJob, Job, P

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    "'default', :name, 0, NULL, NULL, CAST(:what AS jsonb), NULL"
    ")::procrastinate_job_to_defer_v1])"
)
_ID = "coalesce(args->>'id', task_name || '@' || (args->>'timestamp'))"
_FAILED = text(
    f"SELECT {_ID} AS id, task_name, coalesce(args->'arguments', '{{}}') AS arguments"  # noqa: S608 (no input)
    " FROM procrastinate_jobs WHERE status = 'failed' ORDER BY procrastinate_jobs.id"
)
# A retry counts as one more attempt: this one begins anew.
_FORGET_ATTEMPTS = text(
    "UPDATE procrastinate_jobs SET attempts = -1"  # noqa: S608 (no input)
    f" WHERE status = 'failed' AND {_ID} = :id RETURNING procrastinate_jobs.id"
)
_RETRY = text("SELECT procrastinate_retry_job_v2(:id, NULL, NULL, NULL, NULL)")
_DELETE = text(
    f"DELETE FROM procrastinate_jobs WHERE status = 'failed' AND {_ID} = :id RETURNING id"  # noqa: S608 (no input)
)


class JobQueue:
    """Enqueues a job in the transaction of the rows that it is about: rolled back, there is none."""

    def __init__(self, session: Session, transaction: Transaction) -> None:
        self.session = session
        self.transaction = transaction

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Put a job into the queue. Raises TypeError or ValidationError for arguments that do not fit, and Unavailable."""
        what = json.dumps({"id": str(uuid4()), "arguments": job.dump(*args, **kwargs)})
        async with self.transaction:
            await self.session.execute(_DEFER, {"name": job.name, "what": what})

    async def failed(self) -> Sequence[FailedJob]:
        """Return the jobs that have had all their attempts, the oldest first. Raises Unavailable."""
        rows = await self.session.execute(_FAILED)
        return [FailedJob(row.id, row.task_name, row.arguments) for row in rows]

    async def retry(self, job_id: str) -> bool:
        """Let a failed job begin anew. Return False if there is none with the id. Raises Unavailable."""
        async with self.transaction:
            found = (await self.session.execute(_FORGET_ATTEMPTS, {"id": job_id})).all()
            for row in found:
                await self.session.execute(_RETRY, {"id": row.id})
        return bool(found)

    async def delete(self, job_id: str) -> bool:
        """Forget a failed job. Return False if there is none with the id. Raises Unavailable."""
        async with self.transaction:
            return bool((await self.session.execute(_DELETE, {"id": job_id})).all())
