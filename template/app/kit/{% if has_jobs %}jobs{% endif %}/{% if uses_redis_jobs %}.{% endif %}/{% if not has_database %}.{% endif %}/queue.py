"""The queue in Redis or Valkey."""

import logging
from collections.abc import Sequence
from uuid import uuid4

from app.kit.errors import Unavailable
from app.kit.jobs.job import FailedJob, Job, P
from app.kit.jobs.sender import JobSender

logger = logging.getLogger(__name__)


class JobQueue:
    """Enqueues jobs, and reads those that failed."""

    def __init__(self, sender: JobSender) -> None:
        self.sender = sender

    async def enqueue(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue a job. Raise Unavailable if the queue does not answer.

        Raise TypeError or ValidationError for arguments that do not fit.
        """
        arguments = job.dump(*args, **kwargs)
        try:
            await self.sender.send(uuid4().hex, job.name, arguments)
        except Unavailable:
            logger.info("job refused: the queue does not answer", extra={"job": job.name})
            raise

    async def list_failed(self) -> Sequence[FailedJob]:
        """Return the jobs without attempts left. Raise Unavailable."""
        return await self.sender.list_failed()

    async def retry(self, job_id: str) -> bool:
        """Run a failed job again. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.retry(job_id)

    async def delete(self, job_id: str) -> bool:
        """Delete a failed job. Return False if no failed job has the id. Raise Unavailable."""
        return await self.sender.delete(job_id)
