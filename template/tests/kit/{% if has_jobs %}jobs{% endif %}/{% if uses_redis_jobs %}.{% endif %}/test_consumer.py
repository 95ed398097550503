"""The data that streaQ stores."""

import asyncio
import logging
from typing import Any

import pytest

from app.application import open_root_scope
from app.kit.jobs import Job, JobQueue, Run, consumer, job
from app.kit.lifecycle import Override
from app.settings import Settings


@job(attempts=0)
async def deadly(run: Run) -> None: ...


@job(cron="0 3 * * *")
async def nightly(run: Run) -> None: ...


async def work(settings: Settings, overrides: list[Override], *jobs: Job[Any]) -> list[str]:
    """Run the jobs that are due; return the names of the schedules and of the failed jobs."""
    async with open_root_scope(settings, overrides) as root_scope:
        declared = {each.name: each for each in jobs}
        await consumer.run(settings, root_scope, declared, asyncio.Event(), until_empty=True)
        async with root_scope.new_scope() as scope:
            failed = await (await scope.resolve(JobQueue)).list_failed()
        client = consumer._Worker(settings, asyncio.Event())
        async with client:
            scheduled = await client.redis.hkeys(client.cron_registry_key)
    return [*sorted(scheduled), *(each.name for each in failed)]


async def test_job_that_kills_its_worker_in_every_attempt_fails(
    settings: Settings, overrides: list[Override], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(deadly)
    assert await work(settings, overrides, deadly) == [deadly.name]
    assert [each.levelno for each in caplog.records if each.message == "job given up"] == [
        logging.ERROR
    ]


async def test_schedule_of_a_removed_job_is_deleted(
    settings: Settings, overrides: list[Override]
) -> None:
    assert await work(settings, overrides, nightly) == [f"cron:{nightly.name}"]
    assert await work(settings, overrides) == []


async def test_worker_fetches_only_as_many_jobs_as_it_runs(settings: Settings) -> None:
    """A job that waits inside a worker has no heartbeat: another worker would run it too."""
    assert consumer._Worker(settings, asyncio.Event()).prefetch == settings.job_concurrency
