"""The queue in Redis or Valkey."""

from collections.abc import Sequence

from app.jobs.job import FailedJob, Job, P
from app.jobs.sender import JobSender


class JobQueue:
    def __init__(self, sender: JobSender) -> None:
        self.sender = sender

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Put a job into the queue. Raises TypeError or ValidationError for arguments that do not fit, and Unavailable."""
        await self.sender.send(job.name, job.dump(*args, **kwargs))

    async def failed(self) -> Sequence[FailedJob]:
        """Return the jobs that have had all their attempts. Raises Unavailable."""
        return await self.sender.failed()

    async def retry(self, job_id: str) -> bool:
        """Let a failed job begin anew. Return False if there is none with the id. Raises Unavailable."""
        return await self.sender.retry(job_id)

    async def delete(self, job_id: str) -> bool:
        """Forget a failed job. Return False if there is none with the id. Raises Unavailable."""
        return await self.sender.delete(job_id)
