"""Procrastinate's tables: what dead workers leave there, and whose they are."""

import re
from pathlib import Path

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy import text

from app.database import Session, Transaction
from app.jobs import JobQueue, consumer
from app.jobs.job import declared_jobs
from app.jobs.rescue import rescue
from app.overrides import Override
from app.settings import Settings
from app.users.jobs import send_welcome
from app.wiring import open_root_scope
from tests.jobs.fixtures import WorkOff
from tests.mail.outbox import Outbox

SCHEMA = Path(__file__).parents[2] / "migrations/template/jobs_0001.sql"
_DIE = (
    text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')"),
    text(
        "UPDATE procrastinate_jobs SET status = 'doing', attempts = :attempts,"
        " worker_id = (SELECT max(id) FROM procrastinate_workers)"
    ),
)
_STATUS = text("SELECT status::text, attempts FROM procrastinate_jobs")


def test_the_revision_is_the_librarys_schema() -> None:
    def squeezed(sql: str) -> str:
        return re.sub(r"\s+", " ", sql).strip()

    assert squeezed(SCHEMA.read_text()) == squeezed(SchemaManager.get_schema())


@pytest.mark.parametrize(
    ("attempts", "then"),
    [(0, ("todo", 1)), (send_welcome.attempts - 1, ("failed", send_welcome.attempts))],
)
async def test_what_a_dead_worker_held_is_queued_again_and_given_up_in_the_end(
    settings: Settings, overrides: list[Override], attempts: int, then: tuple[str, int]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        session, transaction = await scope.resolve(Session), await scope.resolve(Transaction)
        async with transaction:
            await (await scope.resolve(JobQueue)).enqueue(send_welcome, "a@example.com", new=True)
            for statement in _DIE:
                given = {"attempts": attempts} if "attempts" in str(statement) else None
                await session.execute(statement, given)
        for _ in range(2):
            await rescue(root_scope, declared_jobs(), silence=20)
            assert [tuple(row) for row in await session.execute(_STATUS)] == [then]


async def test_how_a_job_ended_is_written_down_in_spite_of_a_cut(
    settings: Settings,
    overrides: list[Override],
    outbox: Outbox,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuts = [ConnectorException("cut"), ConnectorException("cut again")]
    finish_job = JobManager.finish_job

    async def cut(*arguments: object, **options: object) -> None:
        if cuts:
            raise cuts.pop()
        await finish_job(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(JobManager, "finish_job", cut)
    monkeypatch.setattr(consumer, "_INSIST", (0.01, 0.01, 0.01))
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(send_welcome, "a@example.com", new=True)
        await work_off()
        assert len(outbox.messages) == 1
        left = await (await scope.resolve(Session)).execute(_STATUS)
        assert not left.all()
