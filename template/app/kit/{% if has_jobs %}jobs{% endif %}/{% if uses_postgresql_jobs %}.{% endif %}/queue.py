"""The queue in PostgreSQL, in the tables of Procrastinate."""

import json
from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import text

from app.kit.database import Database
from app.kit.jobs.job import FailedJob, Job, P

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    "'default', :name, 0, NULL, NULL, CAST(:what AS jsonb), NULL"
    ")::procrastinate_job_to_defer_v1])"
)
_ID = "coalesce(args->>'id', task_name || '@' || (args->>'timestamp'))"
_FAILED = text(
    f"SELECT {_ID} AS id, task_name,"  # noqa: S608 (no input)
    " coalesce(args->'arguments', '{}') AS arguments"
    " FROM procrastinate_jobs WHERE status = 'failed' ORDER BY procrastinate_jobs.id"
)
# `procrastinate_retry_job_v2` adds one attempt.
_FORGET_ATTEMPTS = text(
    "UPDATE procrastinate_jobs SET attempts = -1, args = args - 'unknown_since'"  # noqa: S608
    f" WHERE status = 'failed' AND {_ID} = :id RETURNING procrastinate_jobs.id"
)
_RETRY = text("SELECT procrastinate_retry_job_v2(:id, NULL, NULL, NULL, NULL)")
_DELETE = text(
    "DELETE FROM procrastinate_jobs"  # noqa: S608 (no input)
    f" WHERE status = 'failed' AND {_ID} = :id RETURNING id"
)


class JobQueue:
    """Enqueues jobs in the current transaction; a rollback enqueues nothing."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue a job. Raise Unavailable if the database does not answer.

        Raise TypeError or ValidationError for arguments that do not fit.
        """
        what = json.dumps({"id": str(uuid4()), "arguments": job.dump(*args, **kwargs)})
        async with self.db.transaction():
            await self.db.execute(_DEFER, {"name": job.name, "what": what})

    async def list_failed(self) -> Sequence[FailedJob]:
        """Return the jobs without attempts left, oldest first. Raise Unavailable."""
        rows = await self.db.execute(_FAILED)
        return [FailedJob(row.id, row.task_name, row.arguments) for row in rows]

    async def retry(self, job_id: str) -> bool:
        """Run a failed job again. Return False if no failed job has the id. Raise Unavailable."""
        async with self.db.transaction():
            found = (await self.db.execute(_FORGET_ATTEMPTS, {"id": job_id})).all()
            for row in found:
                await self.db.execute(_RETRY, {"id": row.id})
        return bool(found)

    async def delete(self, job_id: str) -> bool:
        """Delete a failed job. Return False if no failed job has the id. Raise Unavailable."""
        async with self.db.transaction():
            return bool((await self.db.execute(_DELETE, {"id": job_id})).all())
