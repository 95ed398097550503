"""Commands that inspect and repair the queue."""

import json

from app.kit.errors import NotFound
from app.kit.jobs.queue import JobQueue
from app.kit.lifecycle import WorkScope


async def failed_jobs(scope: WorkScope) -> str:
    """List the jobs that have used up their attempts: id, name, arguments."""
    failed = await (await scope.resolve(JobQueue)).list_failed()
    lines = (f"{each.id}  {each.name}  {json.dumps(each.arguments)}" for each in failed)
    return "\n".join(lines) or "No job has failed."


async def delete_job(scope: WorkScope, job_id: str) -> str:
    """Delete a failed job. Raise NotFound if no failed job has the id."""
    if not await (await scope.resolve(JobQueue)).delete(job_id):
        raise NotFound(f"No failed job has the id {job_id}; `failed-jobs` lists them.")
    return f"{job_id} is deleted."


async def retry_job(scope: WorkScope, job_id: str) -> str:
    """Run a failed job again. Raise NotFound if no failed job has the id."""
    if not await (await scope.resolve(JobQueue)).retry(job_id):
        raise NotFound(f"No failed job has the id {job_id}; `failed-jobs` lists them.")
    return f"{job_id} is in the queue again."
