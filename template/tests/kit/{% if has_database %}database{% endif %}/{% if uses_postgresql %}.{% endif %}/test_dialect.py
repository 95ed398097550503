"""Limits that keep PostgreSQL from hanging, and errors when it is unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.database import Database, DatabaseUnavailable, Engines, RolledBack, open_engines
from app.settings import Settings
from app.users.models import User
from tests.kit.helpers import GivenSettings

Write = Callable[[AsyncSession], Awaitable[None]]


KILL = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'app'"
)
ONE = text("SELECT 1")


async def kill_connections(killer: Engines) -> None:
    await Database(killer).execute(KILL)


async def show(db: Database, name: str) -> str:
    return str((await db.execute(text(f"SHOW {name}"))).scalar_one())


async def test_the_server_knows_every_limit(settings: Settings) -> None:
    async with open_engines(settings) as engines:
        db = Database(engines)
        assert await show(db, "default_transaction_read_only") == "on"
        async with db.transaction():
            assert await show(db, "default_transaction_read_only") == "off"
            assert await show(db, "statement_timeout") == "4s"
            assert await show(db, "lock_timeout") == "2s"
            assert await show(db, "idle_in_transaction_session_timeout") == "10s"


async def test_a_slow_statement_is_ended(settings: Settings) -> None:
    hurried = settings.model_copy(update={"database_statement_timeout": 0.1})
    async with open_engines(hurried) as engines:
        with pytest.raises(DatabaseUnavailable):
            await Database(engines).execute(text("SELECT pg_sleep(5)"))
        await engines.ping()


async def test_a_statement_without_an_answer_is_given_up_with_its_connection(
    settings: Settings,
) -> None:
    """Such as in a cut network: the client's limit is lower than the server's here."""
    hurried = settings.model_copy(update={"database_command_timeout": 0.2})
    async with open_engines(hurried) as engines:
        with pytest.raises(DatabaseUnavailable):
            await Database(engines).execute(text("SELECT pg_sleep(3)"))
        with pytest.raises((DatabaseUnavailable, RolledBack)):
            async with Database(engines).transaction() as session:
                await session.execute(text("CREATE TABLE half (id INTEGER)"))
                with pytest.raises(DatabaseUnavailable):
                    await session.execute(text("SELECT pg_sleep(3)"))
        found = await Database(engines).execute(text("SELECT to_regclass('half')"))
        assert found.scalar_one() is None


async def test_a_locked_table_is_not_waited_for_without_end(settings: Settings) -> None:
    hurried = settings.model_copy(update={"database_lock_timeout": 0.1})
    async with open_engines(hurried) as engines:
        one, other = Database(engines), Database(engines)
        async with one.transaction():
            await one.execute(text("LOCK TABLE users"))
            with pytest.raises(DatabaseUnavailable):
                async with other.transaction():
                    await other.execute(text("LOCK TABLE users"))


async def test_an_exhausted_pool_is_reported_in_time(settings: Settings) -> None:
    small = {"database_pool_size": 1, "database_max_overflow": 0, "database_pool_timeout": 0.2}
    async with open_engines(settings.model_copy(update=small)) as engines:
        async with Database(engines).transaction(), asyncio.timeout(3):
            with pytest.raises(DatabaseUnavailable):
                async with Database(engines).transaction():
                    pass
        await engines.ping()


async def test_a_lost_connection_is_replaced(settings: Settings) -> None:
    async with open_engines(settings) as engines, open_engines(settings) as killer:
        db = Database(engines)
        for _ in range(3):
            await asyncio.gather(*(engines.ping() for _ in range(5)))
            async with db.transaction():
                pass
            await kill_connections(killer)
            assert (await db.execute(ONE)).scalar_one() == 1
            assert (await db.scalars(select(User))).all() == []
            await asyncio.sleep(0.05)  # the event loop notices closed connections
            async with db.transaction() as session:
                assert (await session.execute(ONE)).scalar_one() == 1


async def write_core(session: AsyncSession) -> None:
    await session.execute(insert(User), {"email": "1@example.com", "password_hash": ""})


async def write_orm(session: AsyncSession) -> None:
    session.add(User(email="2@example.com", password_hash=""))
    await session.flush()


@pytest.mark.parametrize("write", [write_core, write_orm])
@pytest.mark.parametrize("write_later", [write_core, write_orm])
@pytest.mark.parametrize("savepoint", ["none", "after the loss", "before the loss"])
@pytest.mark.parametrize("is_caught", [True, False])
async def test_lost_connection_fails_the_whole_transaction(
    settings: Settings, write: Write, write_later: Write, savepoint: str, is_caught: bool
) -> None:
    async with open_engines(settings) as engines, open_engines(settings) as killer:
        db = Database(engines)
        caught = [DatabaseUnavailable, PendingRollbackError, ResourceClosedError]
        with pytest.raises((RolledBack, *caught) if is_caught else DatabaseUnavailable):
            async with db.transaction() as session:
                await write(session)
                if savepoint != "before the loss":
                    await kill_connections(killer)
                with suppress(*caught if is_caught else ()):
                    async with nullcontext() if savepoint == "none" else session.begin_nested():
                        if savepoint == "before the loss":
                            await kill_connections(killer)
                        await write_later(session)
                with suppress(*caught if is_caught else ()):
                    session.add(User(email="3@example.com", password_hash=""))
                    await session.flush()
        assert (await db.scalars(select(User))).all() == []
        async with db.transaction() as session:
            await write(session)
        assert len((await db.scalars(select(User))).all()) == 1


async def test_a_missing_server_is_reported_in_time(settings: Settings) -> None:
    nowhere = {"database_url": "postgresql+asyncpg://postgres@127.0.0.1:1/x"}
    async with open_engines(settings.model_copy(update=nowhere)) as engines:
        with pytest.raises(DatabaseUnavailable):
            await engines.ping()
        with pytest.raises(DatabaseUnavailable):
            async with Database(engines).transaction():
                pass


async def test_an_error_does_not_show_its_parameters(settings: Settings) -> None:
    async with open_engines(settings) as engines, engines.reading.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT 1 / length(:a)"), {"a": ""})
        assert "parameters hidden" in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_urls_of_hosting_providers_are_understood(settings: Settings, scheme: str) -> None:
    given = GivenSettings(**{**settings.model_dump(), "database_url": f"{scheme}://u:p@h/d"})
    assert given.database_url == "postgresql+asyncpg://u:p@h/d"
