"""Running jobs in tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from app.application import JOBS, open_root_scope
from app.kit.jobs import Job, JobQueue
from app.kit.jobs.worker import work
from app.kit.lifecycle import Override
from app.settings import Settings

WorkOff = Callable[..., Awaitable[None]]
Enqueue = Callable[..., Awaitable[None]]


@pytest.fixture
def work_off(settings: Settings, overrides: list[Override]) -> WorkOff:
    """Return a function that runs the jobs that are due: those of the service, or those given."""

    async def work_off(jobs: Mapping[str, Job[Any]] = JOBS) -> None:
        await work(settings, open_root_scope(settings, overrides), jobs, until_empty=True)

    return work_off


async def work_until(reached: Callable[[], bool], work_off: WorkOff, *arguments: Any) -> None:
    """Run the jobs that are due until `reached()`: a failed one is due again a little later."""
    async with asyncio.timeout(10):
        while not reached():
            await work_off(*arguments)
            await asyncio.sleep(0.05)


@pytest.fixture
async def enqueue(settings: Settings, overrides: list[Override]) -> AsyncIterator[Enqueue]:
    """Yield a function that enqueues a job in a scope of its own."""
    async with open_root_scope(settings, overrides) as root_scope:

        async def enqueue(job: Job[Any], *args: object, **kwargs: object) -> None:
            async with root_scope.new_scope() as scope:
                await (await scope.resolve(JobQueue)).enqueue(job, *args, **kwargs)

        yield enqueue
