"""Background jobs: declare them with `@job()`, enqueue them with `JobQueue`, run a worker."""

from app.kit.jobs.job import Job, Run, collect_jobs, job
from app.kit.jobs.queue import JobQueue

__all__ = ["Job", "JobQueue", "Run", "collect_jobs", "job"]
