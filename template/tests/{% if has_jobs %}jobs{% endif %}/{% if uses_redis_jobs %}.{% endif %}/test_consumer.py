"""What streaQ is told, and what it keeps."""

import asyncio
import logging
from typing import Any

import pytest

from app.jobs import Job, JobQueue, Run, consumer, job
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope


@job(attempts=0)
async def deadly(run: Run) -> None: ...


@job(cron="0 3 * * *")
async def nightly(run: Run) -> None: ...


async def work(settings: Settings, overrides: list[Override], *jobs: Job[Any]) -> list[str]:
    """Work off the queue; return the names of what is scheduled and of what has failed."""
    async with open_root_scope(settings, overrides) as root_scope:
        declared = {each.name: each for each in jobs}
        await consumer.run(settings, root_scope, declared, asyncio.Event(), until_empty=True)
        async with root_scope.new_scope() as scope:
            failed = await (await scope.resolve(JobQueue)).failed()
        client = consumer._Worker(settings, asyncio.Event())
        async with client:
            scheduled = await client.redis.hkeys(client.cron_registry_key)
    return [*sorted(scheduled), *(each.name for each in failed)]


async def test_what_ends_its_worker_each_time_is_given_up(
    settings: Settings, overrides: list[Override], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(deadly)
    assert await work(settings, overrides, deadly) == [deadly.name]
    assert [each.levelno for each in caplog.records if each.message == "job given up"] == [
        logging.ERROR
    ]


async def test_a_schedule_ends_with_its_job(settings: Settings, overrides: list[Override]) -> None:
    assert await work(settings, overrides, nightly) == [f"cron:{nightly.name}"]
    assert await work(settings, overrides) == []


async def test_nothing_waits_where_it_is_not_run(settings: Settings) -> None:
    """Else it would be taken for dead, and run by two workers."""
    assert consumer._Worker(settings, asyncio.Event()).prefetch == settings.job_concurrency
