"""What keeps PostgreSQL from hanging, and what is said when it gives out."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database import Database, DatabaseUnavailable, Session, Transaction, open_database
from app.settings import Settings
from tests.helpers import GivenSettings


async def show(session: Session, name: str) -> str:
    return str((await session.execute(text(f"SHOW {name}"))).scalar_one())


async def test_the_server_knows_every_limit(settings: Settings) -> None:
    async with open_database(settings) as database:
        session = Session(database)
        assert await show(session, "default_transaction_read_only") == "on"
        async with Transaction(session):
            assert await show(session, "default_transaction_read_only") == "off"
            assert await show(session, "statement_timeout") == "4s"
            assert await show(session, "lock_timeout") == "2s"
            assert await show(session, "idle_in_transaction_session_timeout") == "10s"


async def test_a_slow_statement_is_ended(settings: Settings) -> None:
    hurried = settings.model_copy(update={"database_statement_timeout": 0.1})
    async with open_database(hurried) as database:
        with pytest.raises(DatabaseUnavailable):
            await Session(database).execute(text("SELECT pg_sleep(5)"))
        await database.ping()


async def test_a_held_table_is_not_waited_for_without_end(settings: Settings) -> None:
    hurried = settings.model_copy(update={"database_lock_timeout": 0.1})
    async with open_database(hurried) as database:
        one, other = Session(database), Session(database)
        async with Transaction(one):
            await one.execute(text("LOCK TABLE users"))
            with pytest.raises(DatabaseUnavailable):
                async with Transaction(other):
                    await other.execute(text("LOCK TABLE users"))


async def test_an_exhausted_pool_is_said_in_time(settings: Settings) -> None:
    small = {"database_pool_size": 1, "database_max_overflow": 0, "database_pool_timeout": 0.2}
    async with open_database(settings.model_copy(update=small)) as database:
        async with Transaction(Session(database)), asyncio.timeout(3):
            with pytest.raises(DatabaseUnavailable):
                async with Transaction(Session(database)):
                    pass
        await database.ping()


async def kill_connections(database: Database) -> None:
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'app'"
    )
    await Session(database).execute(text(kill))


async def test_a_lost_connection_is_replaced(settings: Settings) -> None:
    async with open_database(settings) as database, open_database(settings) as killer:
        for _ in range(3):
            await asyncio.gather(*(database.ping() for _ in range(5)))
            async with Transaction(Session(database)):
                pass
            await kill_connections(killer)
            session = Session(database)
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
            async with Transaction(session):
                assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_transaction_whose_connection_is_lost_fails_as_a_whole(settings: Settings) -> None:
    async with open_database(settings) as database, open_database(settings) as killer:
        session = Session(database)
        with pytest.raises(DatabaseUnavailable):
            async with Transaction(session):
                await session.execute(text("CREATE TABLE half (id INTEGER)"))
                await kill_connections(killer)
                await session.execute(text("SELECT 1"))
        found = await session.execute(text("SELECT to_regclass('half')"))
        assert found.scalar_one() is None


async def test_nobody_there_is_said_in_time(settings: Settings) -> None:
    nowhere = {"database_url": "postgresql+asyncpg://postgres@127.0.0.1:1/x"}
    async with open_database(settings.model_copy(update=nowhere)) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        with pytest.raises(DatabaseUnavailable):
            async with Transaction(Session(database)):
                pass


async def test_an_error_does_not_show_its_parameters(settings: Settings) -> None:
    async with open_database(settings) as database, database.reading.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT 1 / length(:a)"), {"a": ""})
        assert "parameters hidden" in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_urls_of_providers_are_understood(settings: Settings, scheme: str) -> None:
    given = GivenSettings(**{**settings.model_dump(), "database_url": f"{scheme}://u:p@h/d"})
    assert given.database_url == "postgresql+asyncpg://u:p@h/d"
