"""Limits that keep PostgreSQL from hanging, and errors when it is unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import ValidationError
from sqlalchemy import Connection, Select, event, insert, select, text
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DBAPIError, PendingRollbackError, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.database import Database, DatabaseUnavailable, Engines, RolledBack, open_engines
from app.kit.errors import Unavailable
from app.kit.settings.database_url import parse_database_url
from app.settings import Settings
from app.users.models import User
from tests.kit.database.fixtures import Connection as Server
from tests.kit.helpers import GivenSettings

Write = Callable[[AsyncSession], Awaitable[None]]


KILL = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database() "
    " AND application_name = current_setting('application_name')"
)
ONE = text("SELECT 1")
PID = text("SELECT pg_backend_pid()")


async def kill_connections(killer: Engines) -> None:
    await Database(killer).execute(KILL)


async def show(db: Database, name: str) -> str:
    return str((await db.execute(text(f"SHOW {name}"))).scalar_one())


def behind(settings: Settings, pooler: str) -> Settings:
    direct = settings.database_url
    return settings.model_copy(
        update={"database_pooler": pooler, "database_direct_url": direct, "database_pool_size": 1}
    )


@pytest.mark.parametrize("pooler", ["none", "session", "transaction"])
async def test_the_server_knows_every_limit(settings: Settings, pooler: str) -> None:
    async with open_engines(behind(settings, pooler)) as engines:
        db = Database(engines)
        assert await show(db, "transaction_read_only") == "on"
        assert await show(db, "statement_timeout") == "4s"
        async with db.transaction():
            assert await show(db, "transaction_read_only") == "off"
            assert await show(db, "statement_timeout") == "4s"
            assert await show(db, "lock_timeout") == "2s"
            assert await show(db, "idle_in_transaction_session_timeout") == "10s"


async def test_nothing_outlives_a_transaction_that_a_pooler_moves(settings: Settings) -> None:
    """The next transaction may run in another session of the server."""
    prepared = text("SELECT name FROM pg_prepared_statements WHERE name <> ''")
    outside = text("SELECT setting || unit FROM pg_settings WHERE name = 'statement_timeout'")
    async with open_engines(behind(settings, "transaction")) as engines:
        db = Database(engines)
        for _ in range(2):
            assert (await db.execute(prepared)).all() == []
            await db.scalars(select(User))
            async with db.transaction() as session:
                session.add(User(email=f"{uuid4()}@example.com", password_hash="x"))
                await session.flush()
                assert (await db.execute(prepared)).all() == []
        async with engines.writing.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            assert await connection.scalar(outside) != "4000ms"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"database_pooler": "statement"}, "'session' or 'transaction'"),
        ({"database_pooler": "transaction"}, "DATABASE_DIRECT_URL"),
        ({"database_direct_url": "mysql://localhost/app"}, "postgresql://"),
        (
            {"database_pooler": "session", "database_url": "postgresql://h/d?options=-c%20a%3Db"},
            "ALTER ROLE",
        ),
    ],
)
def test_what_no_pooler_can_do_is_refused(
    settings: Settings, given: dict[str, str], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        GivenSettings(**{**settings.model_dump(), **given})


async def test_a_slow_statement_is_ended(settings: Settings) -> None:
    hurried = settings.model_copy(update={"database_statement_timeout": 0.1})
    async with open_engines(hurried) as engines:
        with pytest.raises(DatabaseUnavailable):
            await Database(engines).execute(text("SELECT pg_sleep(5)"))
        await engines.check()


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
        await engines.check()


async def test_a_lost_connection_is_replaced(settings: Settings) -> None:
    async with open_engines(settings) as engines, open_engines(settings) as killer:
        db = Database(engines)
        for _ in range(3):
            await asyncio.gather(*(engines.check() for _ in range(5)))
            async with db.transaction():
                pass
            await kill_connections(killer)
            assert (await db.execute(ONE)).scalar_one() == 1
            assert (await db.scalars(select(User))).all() == []
            await asyncio.sleep(0.05)  # the event loop notices closed connections
            async with db.transaction() as session:
                assert (await session.execute(ONE)).scalar_one() == 1


async def test_transaction_replaces_a_connection_that_its_begin_finds_lost(
    settings: Settings, server: Server
) -> None:
    """Such as one that a firewall has forgotten: here, the event loop has not noticed its end."""
    async with open_engines(settings) as engines:
        for _ in range(3):
            async with Database(engines).transaction() as session:
                pid = (await session.execute(PID)).scalar_one()
            with ThreadPoolExecutor(1) as thread:  # and the loop does not run meanwhile
                thread.submit(server.execute, f"SELECT pg_terminate_backend({pid}, 5000)")


async def test_new_connection_that_its_begin_finds_lost_is_unavailable(settings: Settings) -> None:
    async with open_engines(settings) as engines:

        @event.listens_for(engines.writing.sync_engine, "connect")
        def lose(connection: AdaptedConnection, _: object) -> None:
            connection.driver_connection.terminate()

        with pytest.raises(DatabaseUnavailable):
            async with Database(engines).transaction():
                pass


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


async def test_a_connection_that_is_lost_while_it_is_new_is_unavailable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy asks for the types of JSON first, and does not translate what goes wrong there."""
    set_type_codec = asyncpg.Connection.set_type_codec

    async def lose(connection: Any, *arguments: Any, **options: Any) -> None:
        with suppress(asyncpg.PostgresError):
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await set_type_codec(connection, *arguments, **options)

    monkeypatch.setattr(asyncpg.Connection, "set_type_codec", lose)
    async with open_engines(settings) as engines:
        with pytest.raises(DatabaseUnavailable):
            await Database(engines).execute(ONE)
        with pytest.raises(DatabaseUnavailable):
            async with Database(engines).transaction():
                pass


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_missing_server_is_reported_in_time(settings: Settings, refuses: bool) -> None:
    """So is one that refuses connections: too many, a wrong password, an unknown database."""
    unknown = settings.database_url.replace("/test_", "/no_such_")
    url = unknown if refuses else "postgresql+asyncpg://postgres@127.0.0.1:1/x"
    async with open_engines(settings.model_copy(update={"database_url": url})) as engines:
        with pytest.raises(DatabaseUnavailable):
            await engines.check()
        with pytest.raises(DatabaseUnavailable):
            async with Database(engines).transaction():
                pass


async def test_closing_does_not_wait_for_a_server_that_hangs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection would wait for as long as a statement may take, one after the other."""
    terminated = 0

    async def hang(connection: asyncpg.Connection, **_: object) -> None:
        if not connection.is_closed():
            await asyncio.sleep(60)

    async with open_engines(settings) as engines:
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(engines.writing.connect())
        terminate = asyncpg.Connection.terminate

        def count(connection: asyncpg.Connection) -> None:
            nonlocal terminated
            terminated += 1
            terminate(connection)

        monkeypatch.setattr(asyncpg.Connection, "close", hang)
        monkeypatch.setattr(asyncpg.Connection, "terminate", count)
        started = asyncio.get_running_loop().time()
    monkeypatch.undo()
    assert asyncio.get_running_loop().time() - started < 10
    assert terminated == 5


async def test_an_error_does_not_show_its_parameters(settings: Settings) -> None:
    async with open_engines(settings) as engines, engines.reading.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT 1 / length(:a)"), {"a": ""})
        assert "parameters hidden" in str(raised.value)


async def test_server_that_becomes_a_standby_is_left(settings: Settings) -> None:
    """25006 ends the connection: after a fail-over, another server takes the writes."""
    async with open_engines(settings) as engines:
        with pytest.raises(DatabaseUnavailable):
            async with Database(engines).transaction() as session:
                await session.execute(text("SET TRANSACTION READ ONLY"))
                await session.execute(insert(User).values(email="x", password_hash="x"))
        async with Database(engines).transaction() as session:
            await session.execute(insert(User).values(email="x", password_hash="x"))


async def write_with_result(session: AsyncSession) -> None:
    rows = [{"email": f"{number}@example.com", "password_hash": ""} for number in range(3)]
    assert len((await session.scalars(insert(User).returning(User), rows)).all()) == 3


async def write_at_commit(session: AsyncSession) -> None:
    session.add(User(email="4@example.com", password_hash=""))


async def write_after_reading(session: AsyncSession) -> None:
    assert (await session.scalars(select(User))).all() == []
    await write_core(session)


async def refuse_writes(db: Database) -> int:
    """Have a connection's server report that it refuses to write, and return its process."""
    async with db.transaction() as session:
        await session.execute(text("SET default_transaction_read_only = on"))
        return int((await session.execute(PID)).scalar_one())


@pytest.mark.parametrize(
    "write", [write_core, write_orm, write_with_result, write_at_commit, write_after_reading]
)
async def test_no_transaction_begins_on_a_known_standby(settings: Settings, write: Write) -> None:
    async with open_engines(settings) as engines:
        db = Database(engines)
        await asyncio.gather(*(refuse_writes(Database(engines)) for _ in range(3)))
        async with db.transaction() as session:
            await write(session)
        assert (await db.scalars(select(User))).all()


async def test_connection_to_a_pooler_is_kept_whatever_it_reports(settings: Settings) -> None:
    """PgBouncer goes on reporting a standby that has been promoted."""
    async with open_engines(behind(settings, "session")) as engines:
        db = Database(engines)
        pid = await refuse_writes(db)
        async with db.transaction() as session:
            assert (await session.execute(PID)).scalar_one() == pid


@pytest.mark.parametrize("is_write", [False, True])
async def test_column_whose_type_changes_costs_nothing(settings: Settings, is_write: bool) -> None:
    async with open_engines(settings) as engines, open_engines(settings) as other:
        db = Database(engines)
        reading: Select[Any] = select(text("x")).select_from(text("changing"))

        async def use() -> Any:
            if not is_write:
                return await db.scalar(reading)
            async with db.transaction() as session:
                return await session.scalar(text("UPDATE changing SET x = x RETURNING x"))

        async with Database(other).transaction() as session:
            await session.execute(text("CREATE TABLE changing (x integer)"))
            await session.execute(text("INSERT INTO changing VALUES (1)"))
        try:
            assert await use() == 1
            async with Database(other).transaction() as session:
                await session.execute(text("ALTER TABLE changing ALTER x TYPE text"))
            assert await use() == "1"
            async with Database(other).transaction() as session:
                await session.execute(text("ALTER TABLE changing ALTER x TYPE integer USING 2"))
            with pytest.raises(DatabaseUnavailable) if is_write else nullcontext():
                async with db.transaction():
                    await db.execute(ONE)
                    await use()  # not the first: what came before cannot be repeated
            assert await use() == 2
        finally:
            async with Database(other).transaction() as session:
                await session.execute(text("DROP TABLE changing"))


async def test_database_without_tables_or_writes_is_not_ready(
    settings: Settings, empty_settings: Settings
) -> None:
    async with open_engines(empty_settings) as engines:
        with pytest.raises(Unavailable, match="empty"):
            await engines.check()
    async with open_engines(settings) as engines:

        @event.listens_for(engines.writing.sync_engine, "begin")
        def refuse_writes(connection: Connection) -> None:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

        with pytest.raises(Unavailable, match="read-only"):
            await engines.check()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_urls_of_hosting_providers_are_understood(settings: Settings, scheme: str) -> None:
    given = GivenSettings(**{**settings.model_dump(), "database_url": f"{scheme}://u:p@h/d"})
    assert given.database_url == "postgresql+asyncpg://u:p@h/d"


def test_parameters_of_libpq_are_honoured() -> None:
    url = (
        "postgresql+asyncpg://u:a%40b%2Fc%25@h/d?sslmode=require&channel_binding=prefer"
        "&connect_timeout=7&application_name=me&options=-c%20search_path%3Dmine"
        "&target_session_attrs=read-write"
    )
    connecting = parse_database_url(url)
    assert connecting.url.password == "a@b/c%"
    assert not connecting.url.query
    assert connecting.arguments == {
        "ssl": "require",
        "timeout": 7.0,
        "target_session_attrs": "read-write",
    }
    assert connecting.server_settings == {
        "application_name": "me",
        "options": "-c search_path=mine",
    }
    verified = parse_database_url(f"{url}&sslrootcert=system&sslmode=verify-full")
    assert verified.arguments["ssl"].check_hostname


@pytest.mark.parametrize(
    ("parameter", "named"),
    [
        ("channel_binding=require", "channel_binding"),
        ("sslmode=maybe", "sslmode"),
        ("connect_timeout=soon", "connect_timeout"),
        ("pgbouncer=true", "pgbouncer"),
        ("sslrootcert=/no/such/file", "FileNotFoundError"),
    ],
)
def test_parameter_that_cannot_be_honoured_is_refused_by_name(
    settings: Settings, parameter: str, named: str
) -> None:
    url = f"postgresql://u:the-password@h/d?{parameter}"
    with pytest.raises(ValidationError, match=named) as raised:
        GivenSettings(**{**settings.model_dump(), "database_url": url})
    assert "the-password" not in str(raised.value)


async def test_options_of_the_url_reach_the_server(settings: Settings) -> None:
    separator = "&" if "?" in settings.database_url else "?"
    url = f"{settings.database_url}{separator}options=-c%20work_mem%3D9MB&application_name=me"
    async with open_engines(settings.model_copy(update={"database_url": url})) as engines:
        db = Database(engines)
        assert await show(db, "work_mem") == "9MB"
        assert await show(db, "application_name") == "me"
        assert await show(db, "statement_timeout") == "4s"
