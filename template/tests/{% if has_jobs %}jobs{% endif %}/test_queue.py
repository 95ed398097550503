"""What the queue and its worker promise, over a real server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from app.jobs import Job, JobQueue, Run, job, worker
from app.jobs.commands import list_failed, retry
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope
from tests.jobs.fixtures import WorkOff, work_until

runs: list[tuple[str, int]] = []
"""The ids and attempts of the jobs below, in the order in which they ran."""


@pytest.fixture(autouse=True)
def _own_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs.clear()
    own = {value.name: value for value in globals().values() if isinstance(value, Job)}
    monkeypatch.setattr(worker, "declared_jobs", lambda: own)


@job()
async def note(run: Run, what: str) -> None:
    runs.append((what, run.attempt))


@job(attempts=3, backoff=0.01)
async def fail(run: Run, times: int) -> None:
    runs.append((run.id, run.attempt))
    if run.attempt <= times:
        raise RuntimeError("not yet")


@job(attempts=1, timeout=0.05)
async def dawdle(run: Run) -> None:
    await asyncio.sleep(10)


@job()
async def scoped(run: Run) -> None:
    assert await run.scope.resolve(JobQueue) is await run.scope.resolve(JobQueue)
    runs.append((str(id(await run.scope.resolve(JobQueue))), run.attempt))
    await asyncio.sleep(0.05)


@job(name="of.a.newer.release")
async def unknown(run: Run) -> None: ...


Enqueue = Callable[..., Awaitable[None]]


@pytest.fixture
async def enqueue(settings: Settings, overrides: list[Override]) -> AsyncIterator[Enqueue]:
    async with open_root_scope(settings, overrides) as root_scope:

        async def enqueue(which: Job[Any], *arguments: object) -> None:
            async with root_scope.new_scope() as scope:
                await (await scope.resolve(JobQueue)).enqueue(which, *arguments)

        yield enqueue


async def test_each_job_is_run_once(enqueue: Enqueue, work_off: WorkOff) -> None:
    for number in range(20):
        await enqueue(note, str(number))
    assert not runs
    await work_off()
    assert sorted(runs) == sorted((str(number), 1) for number in range(20))
    await work_off()
    assert len(runs) == 20


async def test_workers_share_the_jobs(enqueue: Enqueue, work_off: WorkOff) -> None:
    for number in range(20):
        await enqueue(note, str(number))
    await asyncio.gather(work_off(), work_off())
    assert sorted(runs) == sorted((str(number), 1) for number in range(20))


async def test_what_fails_is_tried_again(
    enqueue: Enqueue, work_off: WorkOff, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(fail, 2)
    await work_until(work_off, lambda: len(runs) == 3)
    assert [attempt for _, attempt in runs] == [1, 2, 3]
    assert len({job_id for job_id, _ in runs}) == 1
    failures = [record for record in caplog.records if record.message == "job failed"]
    assert [record.levelno for record in failures] == [logging.WARNING] * 2


async def test_what_fails_for_good_is_kept_and_can_begin_anew(
    enqueue: Enqueue,
    work_off: WorkOff,
    settings: Settings,
    overrides: list[Override],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await enqueue(fail, 3)
    await work_until(work_off, lambda: len(runs) == 3)
    await work_off()
    assert [attempt for _, attempt in runs] == [1, 2, 3]
    assert "times=3" not in caplog.text  # arguments may be anybody's
    ours = [record for record in caplog.records if record.name.startswith("app.")]
    assert [record.levelno for record in ours].count(logging.ERROR) == 1
    job_id = runs[0][0]
    assert await list_failed(settings, overrides) == f'{job_id}  {fail.name}  {{"times": 3}}'
    with pytest.raises(ValueError, match="No failed job has the id 0"):
        await retry(settings, "0", overrides)
    assert await retry(settings, job_id, overrides) == f"{job_id} is in the queue again."
    assert await list_failed(settings, overrides) == "No job has failed."
    await work_off()
    assert runs[3] == (job_id, 1)


async def test_a_job_has_a_deadline(
    enqueue: Enqueue, work_off: WorkOff, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(dawdle)
    async with asyncio.timeout(10):
        await work_off()
    assert "TimeoutError" in caplog.text


async def test_each_has_a_scope_of_its_own(enqueue: Enqueue, work_off: WorkOff) -> None:
    await enqueue(scoped)
    await enqueue(scoped)
    await work_off()
    assert len(set(runs)) == 2


async def test_one_that_nobody_knows_is_kept(
    enqueue: Enqueue,
    work_off: WorkOff,
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "declared_jobs", lambda: {note.name: note})
    await enqueue(unknown)
    await enqueue(note, "this")
    await work_off()
    assert runs == [("this", 1)]
    assert "of.a.newer.release" in await list_failed(settings, overrides)
