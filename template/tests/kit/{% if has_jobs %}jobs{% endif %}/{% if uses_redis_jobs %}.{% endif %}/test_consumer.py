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


async def test_schedule_of_another_release_is_kept_while_a_worker_has_it(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed job's schedule stops at once, as no worker advances it, and is deleted later."""
    assert await work(settings, overrides, nightly) == [f"cron:{nightly.name}"]
    assert await work(settings, overrides) == [f"cron:{nightly.name}"]
    monkeypatch.setattr(consumer, "_DEAD_SCHEDULE_SECONDS", -48 * 3600)
    assert await work(settings, overrides, nightly) == [f"cron:{nightly.name}"]
    assert await work(settings, overrides) == []


async def test_worker_advances_only_its_own_schedules(
    settings: Settings, overrides: list[Override]
) -> None:
    await work(settings, overrides, nightly)
    name = f"cron:{nightly.name}"
    async with open_root_scope(settings, overrides) as root_scope:
        other = consumer._Consumer(settings, root_scope, {}, asyncio.Event()).worker
        own = consumer._Consumer(
            settings, root_scope, {nightly.name: nightly}, asyncio.Event()
        ).worker
        async with other, own:
            scores = []
            for worker in (other, own):
                await worker.redis.zadd(worker.cron_schedule_key, {name: 1})
                await worker.schedule_cron_jobs((name,))
                scores.append(await worker.redis.zscore(worker.cron_schedule_key, name))
    assert scores[0] == 1
    assert scores[1] is not None
    assert scores[1] > 1


async def test_scheduled_run_of_another_release_waits_for_its_workers(
    settings: Settings, overrides: list[Override], caplog: pytest.LogCaptureFixture
) -> None:
    client = consumer._Worker(settings, asyncio.Event())
    async with client:
        await client.enqueue_unsafe(f"cron:{nightly.name}")
    assert await work(settings, overrides) == []
    assert [each.levelno for each in caplog.records if each.name == "streaq"] == []
    assert [each.message for each in caplog.records if each.levelno == logging.WARNING] == [
        "job unknown: it waits for a worker that knows it"
    ]
    async with client:
        assert await client.queue_size() == 1


@pytest.mark.parametrize("is_last", [False, True])
async def test_worker_leaves_alone_what_another_one_has_taken_over(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch, is_last: bool
) -> None:
    """It was frozen meanwhile: it neither repeats nor acknowledges the job, nor lets it fail."""

    @job(attempts=1 if is_last else 3, backoff=0)
    async def taken(run: Run) -> None:
        async with consumer._Worker(settings, asyncio.Event()) as other:
            stream = other.stream_key + other.priorities[0]
            await other.redis.xautoclaim(stream, "workers", "other", 0, "0-0")
        await asyncio.sleep(10)  # until the next heartbeat

    monkeypatch.setattr(consumer, "_HEARTBEAT_SECONDS", 0.05)
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(taken)
    async with asyncio.timeout(5):
        assert await work(settings, overrides, taken) == []
    async with consumer._Worker(settings, asyncio.Event()) as client:
        stream = client.stream_key + client.priorities[0]
        assert await client.redis.xpending(
            stream, "workers", start="-", end="+", count=9, consumer="other"
        )
        assert await client.queue_size() == 1


async def test_worker_fetches_only_as_many_jobs_as_it_runs(settings: Settings) -> None:
    """A job that waits inside a worker has no heartbeat: another worker would run it too."""
    assert consumer._Worker(settings, asyncio.Event()).prefetch == settings.job_concurrency
