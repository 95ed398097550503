"""Commands that inspect and repair the queue."""

import json
from collections.abc import Awaitable, Callable, Sequence

from app.kit.errors import NotFound
from app.kit.jobs.queue import JobQueue
from app.kit.lifecycle import WorkScope


async def failed_jobs(scope: WorkScope) -> str:
    """List the jobs that have used up their attempts: id, name, arguments."""
    failed = await (await scope.resolve(JobQueue)).list_failed()
    lines = (f"{each.id}  {each.name}  {json.dumps(each.arguments)}" for each in failed)
    return "\n".join(lines) or "No job has failed."


async def delete_job(scope: WorkScope, *job_ids: str) -> str:
    """Delete failed jobs. Raise NotFound if no failed job has one of the ids."""
    return await _each((await scope.resolve(JobQueue)).delete, job_ids, "deleted")


async def retry_job(scope: WorkScope, *job_ids: str) -> str:
    """Run failed jobs again. Raise NotFound if no failed job has one of the ids."""
    return await _each((await scope.resolve(JobQueue)).retry, job_ids, "in the queue again")


async def _each(action: Callable[[str], Awaitable[bool]], job_ids: Sequence[str], then: str) -> str:
    """Run an action for each job. Raise NotFound, which names all, if one is missing."""
    found = {job_id: await action(job_id) for job_id in job_ids}
    done = [f"{job_id} is {then}." for job_id in job_ids if found[job_id]]
    if missing := [job_id for job_id in job_ids if not found[job_id]]:
        fault = f"No failed job has the id {', '.join(missing)}; `failed-jobs` lists them."
        raise NotFound("\n".join([*done, fault]))
    return "\n".join(done)
