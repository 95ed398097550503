"""What a dead worker leaves behind in the tables."""

from types import SimpleNamespace

import pytest
from sqlalchemy import text

from app.database import Session, Transaction
from app.jobs import engine
from app.jobs.job import declared_jobs
from app.jobs.queue import JobQueue
from app.overrides import Override
from app.settings import Settings
from app.users.jobs import send_welcome
from app.wiring import open_root_scope

_DIE = (
    text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')"),
    text(
        "UPDATE procrastinate_jobs SET status = 'doing', attempts = :attempts,"
        " worker_id = (SELECT max(id) FROM procrastinate_workers)"
    ),
)
_STATUS = text("SELECT status::text, attempts FROM procrastinate_jobs WHERE task_name <> 'rescue'")


@pytest.mark.parametrize(
    ("attempts", "then"),
    [(0, ("todo", 1)), (send_welcome.attempts - 1, ("failed", send_welcome.attempts))],
)
async def test_it_is_queued_again_and_given_up_in_the_end(
    settings: Settings, overrides: list[Override], attempts: int, then: tuple[str, int]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        session, transaction = await scope.resolve(Session), await scope.resolve(Transaction)
        async with transaction:
            await (await scope.resolve(JobQueue)).enqueue(send_welcome, "a@example.com", new=True)
            for statement in _DIE:
                given = {"attempts": attempts} if "attempts" in str(statement) else None
                await session.execute(statement, given)
        queue = engine._create_app(settings, root_scope, declared_jobs())
        async with queue.open_async():
            await engine._rescue(declared_jobs())(SimpleNamespace(app=queue))  # type: ignore[arg-type]
        assert [tuple(row) for row in await session.execute(_STATUS)] == [then]
