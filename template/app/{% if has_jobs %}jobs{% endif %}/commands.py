"""What an operator does with jobs from the command line."""

import json
from collections.abc import Sequence

from app.jobs.queue import JobQueue
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope


async def list_failed(settings: Settings, overrides: Sequence[Override] = ()) -> str:
    """Return a line for each job that has had all its attempts: id, name, arguments."""
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        failed = await (await scope.resolve(JobQueue)).failed()
    lines = (f"{each.id}  {each.name}  {json.dumps(each.arguments)}" for each in failed)
    return "\n".join(lines) or "No job has failed."


async def delete(settings: Settings, job_id: str, overrides: Sequence[Override] = ()) -> str:
    """Forget a failed job. Raises ValueError if there is none with the id."""
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        if not await (await scope.resolve(JobQueue)).delete(job_id):
            raise ValueError(f"No failed job has the id {job_id}; `failed-jobs` lists them.")
    return f"{job_id} is forgotten."


async def retry(settings: Settings, job_id: str, overrides: Sequence[Override] = ()) -> str:
    """Put a failed job back into the queue. Raises ValueError if there is none with the id."""
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        if not await (await scope.resolve(JobQueue)).retry(job_id):
            raise ValueError(f"No failed job has the id {job_id}; `failed-jobs` lists them.")
    return f"{job_id} is in the queue again."
