"""Work that outlives a request: declared by `@job()`, enqueued through `JobQueue`, done by `python -m app worker`."""

from app.jobs.job import Job, Run, job
from app.jobs.queue import JobQueue

__all__ = ["Job", "JobQueue", "Run", "job"]
