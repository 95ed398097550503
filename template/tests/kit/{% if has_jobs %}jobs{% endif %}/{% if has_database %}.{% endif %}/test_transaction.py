"""A job shares the fate of the transaction in which it is enqueued."""

from collections.abc import AsyncIterator

import pytest

from app.application import open_root_scope
from app.kit.database import Database
from app.kit.jobs import JobQueue, Run, job
from app.kit.lifecycle import Override, WorkScope
from app.settings import Settings
from tests.kit.jobs.fixtures import WorkOff

runs: list[str] = []


@job()
async def note(run: Run, what: str) -> None:
    runs.append(what)


@pytest.fixture
async def scope(settings: Settings, overrides: list[Override]) -> AsyncIterator[WorkScope]:
    runs.clear()
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        yield scope


async def test_rollback_enqueues_nothing(scope: WorkScope, work_off: WorkOff) -> None:
    queue, db = await scope.resolve(JobQueue), await scope.resolve(Database)
    with pytest.raises(RuntimeError):
        async with db.transaction():
            await queue.enqueue(note, "never")
            raise RuntimeError("after the job was enqueued")
    await work_off({note.name: note})
    assert not runs


async def test_job_is_invisible_before_the_commit(scope: WorkScope, work_off: WorkOff) -> None:
    queue, db = await scope.resolve(JobQueue), await scope.resolve(Database)
    async with db.transaction():
        await queue.enqueue(note, "later")
        await work_off({note.name: note})
        assert not runs
    await work_off({note.name: note})
    assert runs == ["later"]
