"""The queue in Redis or Valkey."""

from collections.abc import Sequence
from functools import partial

from app.database import Transaction
from app.jobs.job import FailedJob, Job, P
from app.jobs.sender import JobSender


class JobQueue:
    """Enqueues a job once the transaction stands that its rows are in: rolled back, there is none.

    Between the commit and the queue there is a moment: a process that is killed in it, or a queue that does not
    answer, loses the job. The latter is logged.
    """

    def __init__(self, sender: JobSender, transaction: Transaction) -> None:
        self.sender = sender
        self.transaction = transaction

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Put a job into the queue, after the commit where a transaction is open.

        Raises TypeError or ValidationError for arguments that do not fit, and without a transaction Unavailable.
        """
        send = partial(self.sender.send, job.name, job.dump(*args, **kwargs))
        if self.transaction.is_open:
            self.transaction.after_commit(send)
        else:
            await send()

    async def failed(self) -> Sequence[FailedJob]:
        """Return the jobs that have had all their attempts. Raises Unavailable."""
        return await self.sender.failed()

    async def retry(self, job_id: str) -> bool:
        """Let a failed job begin anew. Return False if there is none with the id. Raises Unavailable."""
        return await self.sender.retry(job_id)

    async def delete(self, job_id: str) -> bool:
        """Forget a failed job. Return False if there is none with the id. Raises Unavailable."""
        return await self.sender.delete(job_id)
