"""Jobs that the queue did not take: the database keeps them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import perf_counter

import pytest
from sqlalchemy import func, select

from app.application import open_root_scope
from app.kit.database import Database
from app.kit.errors import Unavailable
from app.kit.jobs import JobQueue, Run, job, outbox
from app.kit.jobs.outbox import Outbox, OutboxJob
from app.kit.lifecycle import Override, WorkScope
from app.settings import Settings
from tests.kit.jobs.fixtures import WorkOff

runs: list[str] = []


@job()
async def note(run: Run, what: str) -> None:
    runs.append(what)


class Sender:
    """Takes jobs until it fails."""

    def __init__(self, *, takes: int) -> None:
        self.takes = takes
        self.sent: list[str] = []

    async def send(self, job_id: str, name: str, arguments: dict[str, str]) -> None:
        if len(self.sent) == self.takes:
            raise Unavailable("down")
        self.sent.append(arguments["what"])


async def kept(db: Database) -> int | None:
    return await db.scalar(select(func.count()).select_from(OutboxJob))


def without_queue(settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})


@pytest.fixture
async def cut_off(settings: Settings, overrides: list[Override]) -> AsyncIterator[WorkScope]:
    """A scope of a service that does not reach its queue."""
    runs.clear()
    async with (
        open_root_scope(without_queue(settings), overrides) as root_scope,
        root_scope.new_scope() as scope,
    ):
        yield scope


async def test_job_is_sent_by_a_worker_once_the_queue_answers(
    cut_off: WorkScope,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outbox, "_HEAD_START", timedelta(0))
    queue, db = await cut_off.resolve(JobQueue), await cut_off.resolve(Database)
    started = perf_counter()
    async with db.transaction():
        for number in range(20):
            await queue.enqueue(note, str(number))
    await queue.enqueue(note, "20")  # outside of a transaction
    assert perf_counter() - started < 2
    assert await kept(db) == 21
    assert "Traceback" not in caplog.text
    assert sum("queue unavailable" in each for each in caplog.messages) == 1
    await work_off({note.name: note})
    assert sorted(runs, key=int) == [str(number) for number in range(21)]
    assert await kept(db) == 0


async def test_rollback_keeps_nothing(cut_off: WorkScope) -> None:
    queue, db = await cut_off.resolve(JobQueue), await cut_off.resolve(Database)
    with pytest.raises(RuntimeError):
        async with db.transaction():
            await queue.enqueue(note, "never")
            raise RuntimeError("after the job was enqueued")
    assert await kept(db) == 0


async def test_sent_job_is_kept_no_longer(settings: Settings, overrides: list[Override]) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(note, "sent")
        assert await kept(await scope.resolve(Database)) == 0


async def test_job_has_a_head_start_before_a_worker_sends_it(
    cut_off: WorkScope, work_off: WorkOff
) -> None:
    """The process that has enqueued it is sending it."""
    await (await cut_off.resolve(JobQueue)).enqueue(note, "early")
    await work_off({note.name: note})
    assert not runs
    assert await kept(await cut_off.resolve(Database)) == 1


async def test_jobs_that_were_sent_before_the_queue_failed_are_not_sent_again(
    cut_off: WorkScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_HEAD_START", timedelta(0))
    monkeypatch.setattr(outbox, "_LEASE", timedelta(0))
    queue, db = await cut_off.resolve(JobQueue), await cut_off.resolve(Database)
    for number in range(3):
        await queue.enqueue(note, str(number))
    failing, healthy = Sender(takes=2), Sender(takes=9)
    with pytest.raises(Unavailable):
        await Outbox(db, failing).send_due()  # type: ignore[arg-type]
    assert await kept(db) == 1
    await Outbox(db, healthy).send_due()  # type: ignore[arg-type]
    assert [failing.sent, healthy.sent] == [["0", "1"], ["2"]]


async def test_workers_share_the_jobs_that_are_due(
    cut_off: WorkScope,
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "_HEAD_START", timedelta(0))
    monkeypatch.setattr(outbox, "_BATCH", 5)
    for number in range(20):
        await (await cut_off.resolve(JobQueue)).enqueue(note, str(number))
    sender = Sender(takes=100)
    async with open_root_scope(settings, overrides) as root_scope:

        async def send() -> None:
            async with root_scope.new_scope() as scope:
                db = await scope.resolve(Database)
                await Outbox(db, sender).send_due()  # type: ignore[arg-type]

        await asyncio.gather(*(send() for _ in range(4)))
    assert sorted(sender.sent, key=int) == [str(number) for number in range(20)]
