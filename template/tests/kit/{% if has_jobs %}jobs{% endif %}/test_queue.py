"""Promises of the queue and its worker, over a real server."""

import asyncio
import logging

import pytest

from app.application import open_root_scope
from app.kit.errors import NotFound
from app.kit.jobs import Job, JobQueue, Run, job, running
from app.kit.jobs.commands import delete_job, failed_jobs, retry_job
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.jobs.fixtures import Enqueue, WorkOff, work_until

runs: list[tuple[str, int]] = []
"""A text and the attempt, noted by each run of the jobs below."""


@pytest.fixture(autouse=True)
def _forget_runs() -> None:
    runs.clear()


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


@job(attempts=1)
async def once(run: Run, what: str) -> None:
    runs.append((what, run.attempt))


@job()
async def scoped(run: Run) -> None:
    assert await run.scope.resolve(JobQueue) is await run.scope.resolve(JobQueue)
    runs.append((str(id(await run.scope.resolve(JobQueue))), run.attempt))
    await asyncio.sleep(0.05)


OWN_JOBS = {value.name: value for value in list(globals().values()) if isinstance(value, Job)}


async def test_each_job_runs_once(enqueue: Enqueue, work_off: WorkOff) -> None:
    for number in range(20):
        await enqueue(note, str(number))
    assert not runs
    await work_off(OWN_JOBS)
    assert sorted(runs) == sorted((str(number), 1) for number in range(20))
    await work_off(OWN_JOBS)
    assert len(runs) == 20


async def test_workers_share_the_jobs(enqueue: Enqueue, work_off: WorkOff) -> None:
    for number in range(20):
        await enqueue(note, str(number))
    await asyncio.gather(work_off(OWN_JOBS), work_off(OWN_JOBS))
    assert sorted(runs) == sorted((str(number), 1) for number in range(20))


async def test_failed_attempt_is_repeated(
    enqueue: Enqueue, work_off: WorkOff, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(fail, 2)
    await work_until(lambda: len(runs) == 3, work_off, OWN_JOBS)
    assert [attempt for _, attempt in runs] == [1, 2, 3]
    assert len({job_id for job_id, _ in runs}) == 1
    failures = [record for record in caplog.records if record.message == "job failed"]
    assert [record.levelno for record in failures] == [logging.WARNING] * 2


async def test_job_without_attempts_left_is_kept_and_can_be_retried(
    enqueue: Enqueue,
    work_off: WorkOff,
    settings: Settings,
    overrides: list[Override],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await enqueue(fail, 3)
    await work_until(lambda: len(runs) == 3, work_off, OWN_JOBS)
    await work_off(OWN_JOBS)
    assert [attempt for _, attempt in runs] == [1, 2, 3]
    assert "times=3" not in caplog.text  # arguments may be personal data
    ours = [record for record in caplog.records if record.name.startswith("app.")]
    assert [record.levelno for record in ours].count(logging.ERROR) == 1
    job_id = runs[0][0]
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        assert await failed_jobs(scope) == f'{job_id}  {fail.name}  {{"times": 3}}'
        with pytest.raises(NotFound, match="No failed job has the id 0"):
            await retry_job(scope, "0")
        assert await retry_job(scope, job_id) == f"{job_id} is in the queue again."
        assert await failed_jobs(scope) == "No job has failed."
    await work_off(OWN_JOBS)
    assert runs[3] == (job_id, 1)


async def test_failed_job_can_be_deleted(
    enqueue: Enqueue, work_off: WorkOff, settings: Settings, overrides: list[Override]
) -> None:
    await enqueue(dawdle)
    await work_off(OWN_JOBS)
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        [failed] = await (await scope.resolve(JobQueue)).list_failed()
        assert await delete_job(scope, failed.id) == f"{failed.id} is deleted."
        assert await failed_jobs(scope) == "No job has failed."
        with pytest.raises(NotFound, match=f"No failed job has the id {failed.id}"):
            await delete_job(scope, failed.id)


async def test_job_that_takes_too_long_times_out(
    enqueue: Enqueue, work_off: WorkOff, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(dawdle)
    async with asyncio.timeout(10):
        await work_off(OWN_JOBS)
    assert "TimeoutError" in caplog.text


async def test_each_job_has_a_scope_of_its_own(enqueue: Enqueue, work_off: WorkOff) -> None:
    await enqueue(scoped)
    await enqueue(scoped)
    await work_off(OWN_JOBS)
    assert len(set(runs)) == 2


async def test_unknown_job_waits_for_a_worker_that_knows_it(
    enqueue: Enqueue, work_off: WorkOff, caplog: pytest.LogCaptureFixture
) -> None:
    """Another release has enqueued it. Waiting takes none of its attempts."""
    await enqueue(once, "secret")
    await enqueue(note, "this")
    await work_off({note.name: note})
    assert runs == [("this", 1)]
    assert [each.message for each in caplog.records if each.levelno >= logging.WARNING] == [
        "job unknown: it waits for a worker that knows it"
    ]
    assert "secret" not in caplog.text
    await work_until(lambda: len(runs) == 2, work_off, OWN_JOBS)
    assert runs[1] == ("secret", 1)


async def test_job_that_stays_unknown_is_kept_as_failed_and_can_be_retried(
    enqueue: Enqueue,
    work_off: WorkOff,
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(running, "UNKNOWN_SECONDS", 0.0)
    for what in ("secret", "other secret"):
        await enqueue(once, what)
    await work_off({})
    assert "secret" not in caplog.text
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        failed = await (await scope.resolve(JobQueue)).list_failed()
        assert sorted(each.arguments["what"] for each in failed) == ["other secret", "secret"]
        ids = [each.id for each in failed]
        with pytest.raises(NotFound, match="No failed job has the id 0;"):
            await retry_job(scope, ids[0], "0")
        assert await retry_job(scope, ids[1]) == f"{ids[1]} is in the queue again."
    monkeypatch.setattr(running, "UNKNOWN_SECONDS", 0.3)
    await asyncio.sleep(0.4)
    await work_off({})  # they wait anew
    await work_until(lambda: len(runs) == 2, work_off, OWN_JOBS)
    assert sorted(runs) == [("other secret", 1), ("secret", 1)]
