"""One rule: only `Database.transaction()` commits, and it commits everything or nothing."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.database import Database, Engines, RolledBack, open_engines
from app.settings import Settings
from tests.kit.database.library import Author, Book, committed, open_library


@pytest.fixture
async def engines(settings: Settings) -> AsyncIterator[Engines]:
    async with open_library(settings) as engines:
        yield engines


@pytest.fixture
def db(engines: Engines) -> Database:
    return Database(engines)


async def write_core(session: AsyncSession, name: str) -> None:
    await session.execute(insert(Author), {"name": name})


async def write_text(session: AsyncSession, name: str) -> None:
    statement = text("INSERT INTO library_authors (full_name) VALUES (:name)")
    await session.execute(statement, {"name": name})


async def write_orm(session: AsyncSession, name: str) -> None:
    session.add(Author(name=name))
    await session.flush()


_SLOW = text(
    "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 3000000)"
    " SELECT count(*) FROM numbers"
)
Write = Callable[[AsyncSession, str], Awaitable[None]]
WRITES: list[Write] = [write_core, write_text, write_orm]
with_each_write = pytest.mark.parametrize("write", WRITES)
with_each_later_write = pytest.mark.parametrize("write_later", WRITES)


class TestCommit:
    @with_each_write
    async def test_commits_at_the_end(self, db: Database, engines: Engines, write: Write) -> None:
        async with db.transaction() as session:
            await write(session, "Ada")
            assert (await db.scalars(select(Author.name))).all() == ["Ada"]
            assert await committed(engines) == set()
        assert await committed(engines) == {"Ada"}

    async def test_flushes_pending_objects(self, db: Database, engines: Engines) -> None:
        async with db.transaction() as session:
            session.add(Author(name="Ada"))
        assert await committed(engines) == {"Ada"}

    async def test_saves_a_change_of_a_loaded_object(self, db: Database, engines: Engines) -> None:
        async with db.transaction() as session:
            session.add(Author(id=1, name="Ada"))
        async with db.transaction():
            author = await db.scalar_one_or_none(select(Author))
            assert author is not None
            author.name = "Ada Lovelace"
        assert author.name == "Ada Lovelace"
        assert await committed(engines) == {"Ada Lovelace"}

    async def test_a_failed_commit_leaves_nothing(self, db: Database, engines: Engines) -> None:
        with pytest.raises(DBAPIError):
            async with db.transaction() as session:
                session.add(Author(name="Ada"))
                session.add(Book(author_id=99))  # checked at COMMIT
        assert await committed(engines) == set()
        async with db.transaction() as session:
            await write_orm(session, "Grace")
        assert await committed(engines) == {"Grace"}


class TestJoining:
    async def test_an_inner_block_has_the_session_of_the_outer_one(self, db: Database) -> None:
        async with db.transaction() as outer, db.transaction() as inner:
            assert outer is inner
            assert db.in_transaction
        assert not db.in_transaction

    async def test_an_inner_block_commits_with_the_outer_one(
        self, db: Database, engines: Engines
    ) -> None:
        with pytest.raises(ValueError, match="outer"):
            async with db.transaction():
                async with db.transaction() as session:
                    await write_core(session, "Ada")
                raise ValueError("outer")
        assert await committed(engines) == set()

    async def test_a_caught_failure_of_an_inner_block_fails_the_outer_one(
        self, db: Database, engines: Engines
    ) -> None:
        with pytest.raises(RolledBack):
            async with db.transaction() as session:
                await write_core(session, "Ada")
                with pytest.raises(ValueError, match="inner"):
                    async with db.transaction():
                        raise ValueError("inner")
        assert await committed(engines) == set()
        async with db.transaction() as session:  # the next one is not affected
            await write_core(session, "Grace")
        assert await committed(engines) == {"Grace"}


class TestFailures:
    """Core and ORM in every order: all of the block is committed, or nothing."""

    @with_each_write
    @with_each_later_write
    async def test_an_exception_rolls_back_everything(
        self, db: Database, engines: Engines, write: Write, write_later: Write
    ) -> None:
        with pytest.raises(ValueError, match="at the end"):
            async with db.transaction() as session:
                await write(session, "Ada")
                await write_later(session, "Grace")
                raise ValueError("at the end")
        assert await committed(engines) == set()

    @with_each_write
    @with_each_later_write
    async def test_a_caught_failure_outside_of_a_savepoint_fails_the_block(
        self, db: Database, engines: Engines, write: Write, write_later: Write
    ) -> None:
        with pytest.raises((RolledBack, PendingRollbackError, DBAPIError)):
            async with db.transaction() as session:
                await write_orm(session, "Ada")
                with pytest.raises(IntegrityError):
                    await write(session, "Ada")
                await write_later(session, "Grace")
        assert await committed(engines) == set()

    @with_each_write
    async def test_a_caught_failure_at_the_end_fails_the_block(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        called: list[str] = []

        async def callback() -> None:
            called.append("after commit")

        with pytest.raises(RolledBack):
            async with db.transaction() as session:
                db.after_commit(callback)
                await write_core(session, "Ada")
                with pytest.raises(IntegrityError):
                    await write(session, "Ada")
        assert await committed(engines) == set()
        assert called == []

    @with_each_write
    @with_each_later_write
    async def test_a_savepoint_undoes_its_part_alone(
        self, db: Database, engines: Engines, write: Write, write_later: Write
    ) -> None:
        async with db.transaction() as session:
            await write(session, "Ada")
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    await write_later(session, "Grace")
                    await write(session, "Ada")
            await write_later(session, "Barbara")
        assert await committed(engines) == {"Ada", "Barbara"}

    @with_each_write
    async def test_a_savepoint_undoes_a_block_that_joined_and_failed(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        """A service that calls another one may catch its error inside a savepoint."""
        async with db.transaction() as session:
            await write(session, "Ada")
            with pytest.raises(IntegrityError):
                async with session.begin_nested(), db.transaction() as joined:
                    await write(joined, "Grace")
                    await write(joined, "Ada")
            with pytest.raises(LookupError):
                async with session.begin_nested(), db.transaction() as joined:
                    await write(joined, "Barbara")
                    raise LookupError
        assert await committed(engines) == {"Ada"}

    @with_each_write
    async def test_a_block_with_a_savepoint_does_not_vanish_silently(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        async def never() -> None:
            raise AssertionError

        async with db.transaction() as session:
            await write_orm(session, "Ada")
            with pytest.raises(RolledBack):
                async with db.transaction(savepoint=True):
                    await write_core(session, "Grace")
                    db.after_commit(never)
                    with pytest.raises(IntegrityError):
                        async with db.transaction():
                            await write(session, "Ada")
            await write_core(session, "Barbara")
        assert await committed(engines) == {"Ada", "Barbara"}

    @with_each_write
    async def test_a_block_with_a_savepoint_undoes_itself_alone(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        with pytest.raises(IntegrityError):  # the outermost block is a plain transaction
            async with db.transaction(savepoint=True) as session:
                await write(session, "Ada")
                await write(session, "Ada")
        assert await committed(engines) == set()
        async with db.transaction() as session:
            await write(session, "Ada")
            with pytest.raises(IntegrityError):
                async with db.transaction(savepoint=True) as joined, db.transaction():
                    await write(joined, "Grace")
                    await write(joined, "Ada")
            async with db.transaction(savepoint=True) as joined:
                assert joined is session
                await write(joined, "Barbara")
        assert await committed(engines) == {"Ada", "Barbara"}

    @with_each_write
    async def test_a_failure_that_a_savepoint_keeps_fails_the_block(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        with pytest.raises((RolledBack, DBAPIError)):
            async with db.transaction() as session:
                await write_core(session, "Ada")
                async with session.begin_nested():
                    with pytest.raises(IntegrityError):
                        await write_core(session, "Ada")
                await write(session, "Grace")
        assert await committed(engines) == set()

    @with_each_write
    async def test_an_outer_savepoint_undoes_the_failure_of_an_inner_one(
        self, db: Database, engines: Engines, write: Write
    ) -> None:
        async with db.transaction() as session:
            await write(session, "Ada")
            outer = await session.begin_nested()
            await write(session, "Grace")
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    await write(session, "Ada")
            await outer.rollback()
            await write(session, "Barbara")
        assert await committed(engines) == {"Ada", "Barbara"}

    @pytest.mark.parametrize("end", ["commit", "rollback", "close"])
    async def test_the_session_cannot_be_ended_by_hand(
        self, db: Database, engines: Engines, end: str
    ) -> None:
        with pytest.raises(RuntimeError, match=r"by hand: the end of `async with db\.transaction"):
            async with db.transaction() as session:
                await write_orm(session, "Ada")
                await getattr(session, end)()
        assert await committed(engines) == set()

    async def test_a_transaction_that_was_ended_by_hand_fails_the_block(
        self, db: Database, engines: Engines
    ) -> None:
        with pytest.raises(RolledBack):
            async with db.transaction() as session:
                await write_orm(session, "Ada")
                transaction = session.sync_session.get_transaction()
                assert transaction is not None
                await session.run_sync(lambda _: transaction.rollback())
        assert await committed(engines) == set()


class TestAfterCommit:
    async def test_callbacks_run_after_the_commit_in_order(
        self, db: Database, engines: Engines, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[set[str]] = []

        async def look() -> None:
            seen.append(await committed(engines))

        async def fail() -> None:
            raise ValueError("too late to matter")

        async with db.transaction() as session:
            async with db.transaction():
                db.after_commit(fail)
                db.after_commit(look)
            await write_orm(session, "Ada")
            assert seen == []
        assert seen == [{"Ada"}]
        assert "a callback after the commit failed" in caplog.text

    async def test_a_rollback_drops_them(self, db: Database) -> None:
        async def never() -> None:
            raise AssertionError

        with pytest.raises(ValueError, match="no commit"):
            async with db.transaction():
                db.after_commit(never)
                raise ValueError("no commit")
        async with db.transaction():
            pass

    async def test_a_rollback_to_a_savepoint_drops_those_since(self, db: Database) -> None:
        called: list[str] = []

        async def call(name: str) -> None:
            called.append(name)

        async with db.transaction() as session:
            nested = await session.run_sync(lambda sync: sync.begin(nested=True))
            db.after_commit(partial(call, "undone at once"))
            await session.run_sync(lambda _: nested.rollback())
            db.after_commit(partial(call, "before"))
            with pytest.raises(LookupError):
                async with session.begin_nested(), db.transaction() as joined:
                    db.after_commit(partial(call, "undone"))
                    async with joined.begin_nested():
                        db.after_commit(partial(call, "undone with the outer one"))
                    raise LookupError
            async with session.begin_nested():
                db.after_commit(partial(call, "kept"))
        assert called == ["before", "kept"]

    async def test_a_callback_may_begin_a_transaction(self, db: Database, engines: Engines) -> None:
        async def write() -> None:
            async with db.transaction() as session:
                await write_orm(session, "Grace")

        async with db.transaction() as session:
            db.after_commit(write)
            await write_orm(session, "Ada")
        assert await committed(engines) == {"Ada", "Grace"}

    async def test_a_cancelled_callback_stops_no_other(self, db: Database) -> None:
        called: list[str] = []

        async def wait_for_a_cancelled_task() -> None:
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task

        async def call() -> None:
            called.append("after commit")

        async with db.transaction():
            db.after_commit(wait_for_a_cancelled_task)
            db.after_commit(call)
        assert called == ["after commit"]

    async def test_there_is_none_outside_of_a_transaction(self, db: Database) -> None:
        async def never() -> None:
            raise AssertionError

        with pytest.raises(RuntimeError, match="must be called inside"):
            db.after_commit(never)


class TestCancellation:
    async def test_a_cancelled_transaction_is_rolled_back(
        self, db: Database, engines: Engines
    ) -> None:
        async def hang() -> None:
            async with db.transaction() as session:
                await write_orm(session, "Ada")
                await asyncio.sleep(60)

        task = asyncio.create_task(hang())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await committed(engines) == set()
        async with db.transaction() as session:
            await write_orm(session, "Grace")
        assert await committed(engines) == {"Grace"}

    @pytest.mark.parametrize("savepoint", [False, True])
    async def test_a_cancelled_statement_keeps_its_exception_and_no_lock(
        self, db: Database, engines: Engines, savepoint: bool
    ) -> None:
        gc.disable()  # a lock must not wait for it
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), db.transaction() as session:
                    await write_orm(session, "Ada")
                    async with db.transaction(savepoint=savepoint):
                        await session.execute(_SLOW)
            async with db.transaction() as session:
                await write_orm(session, "Grace")
        finally:
            gc.enable()
        assert await committed(engines) == {"Grace"}

    async def test_callbacks_run_wherever_the_row_is_committed(
        self, db: Database, engines: Engines
    ) -> None:
        """Cancel at many moments, up to three times: the row and the callback, or neither."""
        called: set[str] = set()

        async def unit(name: str) -> None:
            async def callback() -> None:
                called.add(name)

            async with db.transaction() as session:
                await write_orm(session, name)
                db.after_commit(callback)

        for number in range(60):
            task = asyncio.create_task(unit(str(number)))
            await asyncio.sleep(number % 20 / 4000)
            for _ in range(1 + number % 3):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(task, return_exceptions=True)
            assert not db.in_transaction
        assert await committed(engines) == called

    async def test_a_cancelled_caller_does_not_stop_the_callbacks(
        self, db: Database, engines: Engines
    ) -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()
        called: list[str] = []

        async def first() -> None:
            reached.set()
            await go_on.wait()
            called.append("first")

        async def second() -> None:
            called.append("second")

        async def unit() -> None:
            async with db.transaction() as session:
                await write_orm(session, "Ada")
                db.after_commit(first)
                db.after_commit(second)

        task = asyncio.create_task(unit())
        await reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert called == ["first", "second"]
        assert await committed(engines) == {"Ada"}


class TestConcurrency:
    async def test_a_transaction_belongs_to_one_task(self, db: Database) -> None:
        async def enter() -> None:
            async with db.transaction():
                await asyncio.sleep(0.05)

        outcomes = await asyncio.gather(enter(), enter(), enter(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, RuntimeError]
        async with db.transaction():
            for other in (enter(), db.execute(select(Author))):
                with pytest.raises(RuntimeError, match="one task"):
                    await asyncio.gather(other)

    async def test_no_concurrent_update_is_lost(self, settings: Settings, engines: Engines) -> None:
        """150 read-modify-writes on two sets of engines, as two workers have them, and readers."""
        async with Database(engines).transaction() as session:
            session.add(Author(id=1, name="0"))

        async def increment(engines: Engines) -> None:
            async with Database(engines).transaction() as session:
                author = await session.get_one(Author, 1, with_for_update=True)
                await asyncio.sleep(0)
                author.name = str(int(author.name) + 1)

        async def work(engines: Engines) -> None:
            for _ in range(15):
                await increment(engines)

        async def read() -> None:
            for _ in range(30):
                await Database(engines).execute(select(Author))

        async with open_engines(settings) as other:
            workers = [work(each) for each in (engines, other) for _ in range(5)]
            await asyncio.gather(*workers, *(read() for _ in range(10)))
            assert await committed(engines) == {"150"}


async def test_a_bulk_update_changes_loaded_objects_too(db: Database) -> None:
    async with db.transaction() as session:
        session.add(Author(id=1, name="Ada"))
        await session.flush()
        author = await session.get_one(Author, 1)
        await db.execute(update(Author).where(Author.id == 1).values(name="Grace"))
        assert author.name == "Grace"
