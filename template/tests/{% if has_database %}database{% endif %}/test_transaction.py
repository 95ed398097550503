"""The one rule: only `Transaction` commits."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.database import Database, RolledBack, Session, Transaction, open_database
from app.settings import Settings

tables = MetaData()
counters = Table("counters", tables, Column("id", Integer, primary_key=True), Column("n", Integer))
children = Table(
    "children",
    tables,
    Column("id", Integer, primary_key=True),
    Column("parent", ForeignKey(counters.c.id, deferrable=True, initially="DEFERRED")),
)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings) as database:
        async with database.writing.begin() as connection:
            await connection.run_sync(tables.create_all)
        yield database
        async with database.writing.begin() as connection:
            await connection.run_sync(tables.drop_all)


@pytest.fixture
def session(database: Database) -> Session:
    return Session(database)


@pytest.fixture
def transaction(session: Session) -> Transaction:
    return Transaction(session)


async def ids(database: Database) -> list[int]:
    """Return what a stranger sees."""
    return list((await Session(database).execute(select(counters.c.id))).scalars())


async def add(session: Session, counter_id: int) -> None:
    await session.execute(insert(counters), {"id": counter_id, "n": 0})


async def test_it_commits_at_the_end(
    database: Database, session: Session, transaction: Transaction
) -> None:
    async with transaction:
        await add(session, 1)
        assert list((await session.execute(select(counters.c.id))).scalars()) == [1]
        assert await ids(database) == []
    assert await ids(database) == [1]


async def test_inner_blocks_join_the_outer_one(
    database: Database, session: Session, transaction: Transaction
) -> None:
    with pytest.raises(ValueError, match="outer"):
        async with transaction:
            async with transaction:
                await add(session, 1)
            await add(session, 2)
            raise ValueError("outer")
    assert await ids(database) == []
    async with transaction, transaction:
        await add(session, 3)
    assert await ids(database) == [3]


async def test_an_inner_failure_cannot_be_committed(
    database: Database, session: Session, transaction: Transaction
) -> None:
    with pytest.raises(RolledBack):
        async with transaction:
            await add(session, 1)
            with pytest.raises(ValueError, match="inner"):
                async with transaction:
                    await add(session, 2)
                    raise ValueError("inner")
    assert await ids(database) == []
    async with transaction:  # and it is as good as new
        await add(session, 3)
    assert await ids(database) == [3]


async def test_actions_run_after_the_commit_and_only_then(
    database: Database,
    session: Session,
    transaction: Transaction,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[object] = []

    async def look() -> None:
        seen.append(await ids(database))

    async def fail() -> None:
        raise ValueError("too late to matter")

    with pytest.raises(RuntimeError, match="inside"):
        transaction.after_commit(look)
    async with transaction:
        await add(session, 1)
        async with transaction:
            transaction.after_commit(fail)
            transaction.after_commit(look)
        assert seen == []
    assert seen == [[1]]
    assert "an action after commit failed" in caplog.text

    with pytest.raises(ValueError, match="no commit"):
        async with transaction:
            transaction.after_commit(look)
            raise ValueError("no commit")
    async with transaction:
        pass
    assert seen == [[1]]


async def test_a_failed_commit_is_an_error_and_leaves_nothing(
    database: Database, session: Session, transaction: Transaction
) -> None:
    with pytest.raises(DBAPIError):
        async with transaction:
            await add(session, 1)
            await session.execute(insert(children), {"id": 1, "parent": 99})
    assert await ids(database) == []


async def test_outside_a_transaction_nothing_is_changed(
    database: Database, session: Session
) -> None:
    with pytest.raises(RuntimeError, match="async with transaction"):
        await add(session, 1)
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        await session.execute(text("INSERT INTO counters VALUES (1, 0)"))
    assert await ids(database) == []


async def test_a_transaction_belongs_to_one_task(
    session: Session, transaction: Transaction
) -> None:
    async def enter() -> None:
        async with transaction:
            await asyncio.sleep(0.05)

    outcomes = await asyncio.gather(enter(), enter(), enter(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, RuntimeError]
    async with transaction:
        with pytest.raises(RuntimeError, match="one task"):
            await asyncio.create_task(enter())
        await add(session, 1)


async def test_a_cancelled_commit_runs_what_follows_it(
    database: Database, session: Session, transaction: Transaction
) -> None:
    """Cancelled at many moments: where the row is, the action ran, and nowhere else."""
    ran: set[int] = set()

    async def unit(number: int) -> None:
        async def action() -> None:
            ran.add(number)

        async with transaction:
            await add(session, number)
            transaction.after_commit(action)

    for number in range(60):
        task = asyncio.create_task(unit(number))
        await asyncio.sleep(number % 20 / 4000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert set(await ids(database)) == ran


async def test_a_cancelled_caller_does_not_stop_what_follows_the_commit(
    database: Database, session: Session, transaction: Transaction
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def first() -> None:
        reached.set()
        await go_on.wait()
        ran.append("first")

    async def second() -> None:
        ran.append("second")

    async def unit() -> None:
        async with transaction:
            await add(session, 1)
            transaction.after_commit(first)
            transaction.after_commit(second)

    task = asyncio.create_task(unit())
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ran == ["first", "second"]
    assert await ids(database) == [1]


async def test_a_cancelled_transaction_is_rolled_back(
    database: Database, session: Session, transaction: Transaction
) -> None:
    async def hang() -> None:
        async with transaction:
            await add(session, 1)
            await asyncio.sleep(60)

    task = asyncio.create_task(hang())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ids(database) == []
    async with transaction:
        await add(session, 2)
    assert await ids(database) == [2]


async def test_no_concurrent_update_is_lost_and_no_concurrent_read_fails(
    settings: Settings, database: Database
) -> None:
    """Real commits: 150 read-modify-writes on two databases, as two workers have them, and readers beside them."""
    async with database.writing.begin() as connection:
        await connection.execute(insert(counters), {"id": 1, "n": 0})

    async def increment(database: Database) -> None:
        session = Session(database)
        async with Transaction(session):
            n = (await session.execute(select(counters.c.n).with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await session.execute(update(counters).values(n=n + 1))

    async def work(database: Database) -> None:
        for _ in range(15):
            await increment(database)

    async def read() -> None:
        for _ in range(30):
            await Session(database).execute(select(counters))

    async with open_database(settings) as other:
        workers = [work(each) for each in (database, other) for _ in range(5)]
        await asyncio.gather(*workers, *(read() for _ in range(10)))
    assert (await Session(database).execute(select(counters.c.n))).scalar_one() == 150


async def test_statements_run_side_by_side_outside_a_transaction(session: Session) -> None:
    results = await asyncio.gather(*(session.execute(select(counters)) for _ in range(20)))
    assert [list(each) for each in results] == [[]] * 20
