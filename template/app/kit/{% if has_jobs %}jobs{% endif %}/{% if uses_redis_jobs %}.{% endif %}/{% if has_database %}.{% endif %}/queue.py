"""The queue in Redis or Valkey."""

from collections.abc import Sequence

from app.kit.database import Database
from app.kit.jobs.job import FailedJob, Job, P
from app.kit.jobs.outbox import Outbox
from app.kit.jobs.sender import JobSender


class JobQueue:
    """Enqueues jobs in the current transaction; a rollback enqueues nothing.

    A job is sent to the queue after the commit. If the queue does not answer, or the process dies,
    a worker sends it later.
    """

    def __init__(self, sender: JobSender, db: Database) -> None:
        self.sender = sender
        self.outbox = Outbox(db, sender)

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue a job. Raise Unavailable if the database does not answer.

        Raise TypeError or ValidationError for arguments that do not fit.
        """
        await self.outbox.add(job.name, job.dump(*args, **kwargs))

    async def list_failed(self) -> Sequence[FailedJob]:
        """Return the jobs without attempts left. Raise Unavailable."""
        return await self.sender.list_failed()

    async def retry(self, job_id: str) -> bool:
        """Run a failed job again. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.retry(job_id)

    async def delete(self, job_id: str) -> bool:
        """Delete a failed job. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.delete(job_id)
