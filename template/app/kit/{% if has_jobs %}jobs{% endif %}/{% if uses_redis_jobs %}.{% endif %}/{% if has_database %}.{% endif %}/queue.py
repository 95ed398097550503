"""The queue in Redis or Valkey."""

from collections.abc import Sequence
from functools import partial

from app.kit.database import Database
from app.kit.jobs.job import FailedJob, Job, P
from app.kit.jobs.sender import JobSender


class JobQueue:
    """Enqueues jobs after the commit; a rollback enqueues nothing.

    A job is lost if the process dies, or the queue does not answer, right after the commit. The
    latter is logged.
    """

    def __init__(self, sender: JobSender, db: Database) -> None:
        self.sender = sender
        self.db = db

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue a job: inside a transaction after the commit, outside one now.

        Raise TypeError or ValidationError for arguments that do not fit. Raise Unavailable outside
        a transaction if the queue does not answer.
        """
        send = partial(self.sender.send, job.name, job.dump(*args, **kwargs))
        if self.db.in_transaction:
            self.db.after_commit(send)
        else:
            await send()

    async def list_failed(self) -> Sequence[FailedJob]:
        """Return the jobs without attempts left. Raise Unavailable."""
        return await self.sender.list_failed()

    async def retry(self, job_id: str) -> bool:
        """Run a failed job again. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.retry(job_id)

    async def delete(self, job_id: str) -> bool:
        """Delete a failed job. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.delete(job_id)
