"""Procrastinate's tables and the jobs of dead workers."""

import re
from pathlib import Path
from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy import text

from app.application import open_root_scope
from app.kit.database import Database
from app.kit.jobs import JobQueue, Run, consumer, job
from app.kit.jobs.rescue import rescue
from app.kit.jobs.worker import work
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.jobs.fixtures import Enqueue, WorkOff

SCHEMA = Path(__file__).parents[3] / "migrations/template/jobs_0001.sql"
_DIE = (
    text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')"),
    text(
        "UPDATE procrastinate_jobs SET status = 'doing', attempts = :attempts,"
        " worker_id = (SELECT max(id) FROM procrastinate_workers)"
    ),
)
_STATUS = text("SELECT status::text, attempts FROM procrastinate_jobs")


@job(attempts=3)
async def note(run: Run) -> None: ...


def test_revision_is_the_schema_of_the_library() -> None:
    def squeezed(sql: str) -> str:
        return re.sub(r"\s+", " ", sql).strip()

    assert squeezed(SCHEMA.read_text()) == squeezed(SchemaManager.get_schema())


@pytest.mark.parametrize(
    ("attempts", "then"),
    [(0, ("todo", 1)), (note.attempts - 1, ("failed", note.attempts))],
)
async def test_job_of_a_dead_worker_is_queued_again_while_it_has_attempts_left(
    settings: Settings, overrides: list[Override], attempts: int, then: tuple[str, int]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        db = await scope.resolve(Database)
        async with db.transaction():
            await (await scope.resolve(JobQueue)).enqueue(note)
            for statement in _DIE:
                given = {"attempts": attempts} if "attempts" in str(statement) else None
                await db.execute(statement, given)
        for _ in range(2):
            await rescue(root_scope, {note.name: note}, silence=20)
            assert [tuple(row) for row in await db.execute(_STATUS)] == [then]


async def test_result_is_recorded_although_the_connection_is_cut(
    settings: Settings,
    overrides: list[Override],
    enqueue: Enqueue,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuts = [ConnectorException("cut"), ConnectorException("cut again")]
    finish_job = JobManager.finish_job

    async def cut(*arguments: object, **options: object) -> None:
        if cuts:
            raise cuts.pop()
        await finish_job(*arguments, **options)  # type: ignore[arg-type]

    runs: list[int] = []

    @job(attempts=3)
    async def count(run: Run) -> None:
        runs.append(run.attempt)

    monkeypatch.setattr(JobManager, "finish_job", cut)
    monkeypatch.setattr(consumer, "_RECORD_DELAYS_SECONDS", (0.01, 0.01, 0.01))
    await enqueue(count)
    await work_off({count.name: count})
    assert not cuts
    assert runs == [1]
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        left = await (await scope.resolve(Database)).execute(_STATUS)
        assert not left.all()


async def test_worker_connects_to_the_server_itself_with_a_limit(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`DATABASE_URL` may lead to a pooler, which has no sessions and refuses options."""
    seen: list[dict[str, object]] = []
    fetch_job = JobManager.fetch_job

    async def look(self: JobManager, *arguments: Any, **options: Any) -> Any:
        seen.append(await self.connector.execute_query_one_async("SHOW statement_timeout"))
        return await fetch_job(self, *arguments, **options)

    monkeypatch.setattr(JobManager, "fetch_job", look)
    nowhere = {
        "database_url": "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere",
        "database_direct_url": settings.database_url,
    }
    opening = open_root_scope(settings, overrides)
    await work(settings.model_copy(update=nowhere), opening, {}, until_empty=True)
    assert {each["statement_timeout"] for each in seen} == {"5s"}


async def test_worker_does_not_repeat_what_another_one_has_taken_over(
    settings: Settings,
    overrides: list[Override],
    enqueue: Enqueue,
    work_off: WorkOff,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was frozen meanwhile."""

    @job(attempts=3, backoff=0)
    async def taken(run: Run) -> None:
        db = await run.scope.resolve(Database)
        async with db.transaction():
            for statement in _DIE:
                given = {"attempts": 1} if "attempts" in str(statement) else None
                await db.execute(statement, given)
        raise RuntimeError("fails, but is no longer its own")

    await enqueue(taken)
    await work_off({taken.name: taken})
    assert "job taken over by another worker" in caplog.messages
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        left = await (await scope.resolve(Database)).execute(_STATUS)
        assert [tuple(row) for row in left] == [("doing", 1)]


async def test_job_whose_row_is_gone_does_not_end_the_worker(
    settings: Settings,
    overrides: list[Override],
    enqueue: Enqueue,
    work_off: WorkOff,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was taken over by another worker, or deleted: the database answers."""
    runs: list[int] = []

    @job()
    async def vanish(run: Run) -> None:
        runs.append(run.attempt)
        db = await run.scope.resolve(Database)
        async with db.transaction() as session:
            await session.execute(text("DELETE FROM procrastinate_jobs WHERE status = 'doing'"))

    for _ in range(2):
        await enqueue(vanish)
        await work_off({vanish.name: vanish})
    assert len(runs) == 2
    assert sum("a finished job is gone" in message for message in caplog.messages) == 2
