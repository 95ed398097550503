"""The two engines on PostgreSQL.

Reads have an engine of their own, without transactions: that saves each of them the round trips of
BEGIN and ROLLBACK, and the server refuses a write on it.
"""

import asyncio
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import (
    AdaptedConnection,
    DBAPIConnection,
    DBAPICursor,
    ExecutionContext,
)
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from app.kit.database.connecting import create_direct_engine, create_pooled_engine, limits_of
from app.kit.database.gate import Gate
from app.kit.settings import KitSettings

_CLOSE_TIMEOUT_SECONDS = 2.0
_MIGRATIONS = 7_305_817_640_912_311
"""The advisory lock that serializes migrating processes."""

CONNECTION_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""Raised as they are if the server refuses a connection, or it is lost while it is new."""

_TRY_AGAIN = ("08", "40", "53", "57")
"""SQLSTATE classes: connection, rollback (deadlock), resources, intervention (timeouts)."""
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY = "25006"
_REFUSES_WRITES = ("in_hot_standby", "default_transaction_read_only")
"""Parameters of which the server reports every change, since PostgreSQL 14."""
_INVALID_TEXT = ("22021", "22P05")  # NUL in text, in JSON
_STALE_PLAN = "cached statement plan is invalid"  # a column's type has changed
_IS_FIRST = "app.is_first"
_IS_NEW = "app.is_new"
_CONTENTION = ("40", "55", "57014")  # deadlock, lock not available, statement timeout
_STATE = text(
    "SELECT pg_is_in_recovery() OR (:writes AND current_setting('transaction_read_only') = 'on'),"
    " to_regclass('alembic_version')"
)


def create_engines(settings: KitSettings) -> tuple[AsyncEngine, AsyncEngine]:
    """Return the reading engine, which refuses to write, and the writing engine.

    Neither connects yet.
    """
    pool = {
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": settings.database_pool_timeout,
        "pool_recycle": settings.database_pool_recycle,
    }
    reading = create_pooled_engine(settings, writes=False, **pool)
    writing = create_pooled_engine(settings, writes=True, **pool)

    _begin_at_checkout(writing.sync_engine, is_direct=settings.database_pooler == "none")
    _survive_changed_types(writing.sync_engine)
    return reading, writing


def _begin_at_checkout(engine: Engine, *, is_direct: bool) -> None:
    """Send BEGIN while the connection can be replaced: no statement has to be repeated.

    It is replaced once if it is lost, or if its server answers that it refuses to write: a new one
    may reach the primary. A pooler is not asked: it may go on reporting a standby that has been
    promoted. `pool_pre_ping` would take three more round trips.
    """

    @event.listens_for(engine, "connect")
    def connect(_: object, entry: ConnectionPoolEntry) -> None:
        entry.info[_IS_NEW] = True

    @event.listens_for(engine, "checkout")
    def check(connection: AdaptedConnection, entry: ConnectionPoolEntry, _: object) -> None:
        is_new = entry.info.pop(_IS_NEW, False)
        try:
            connection.run_async(lambda _: connection._start_transaction())  # type: ignore[attr-defined]
        except engine.dialect.loaded_dbapi.Error as error:
            if is_new:
                raise
            raise InvalidatePoolError from error
        if is_direct and not is_new:
            reported = connection.driver_connection.get_settings()
            if "on" in (getattr(reported, name, "off") for name in _REFUSES_WRITES):
                raise InvalidatePoolError


def _survive_changed_types(engine: Engine) -> None:
    """Run a transaction's first statement again if a column's type has changed meanwhile.

    No prepared statement survives that, and the server has ended the transaction. A read is
    repeated on another connection; a later statement cannot be repeated without those before it.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info[_IS_FIRST] = True

    @event.listens_for(engine, "do_execute")
    def execute(
        cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool:
        run = partial(context.dialect.do_execute, cursor, statement, parameters, context)
        connection = context.root_connection
        # Outside of a transaction, it may be a connection that is being made, without `info`.
        is_first = connection.in_transaction() and connection.info.pop(_IS_FIRST, False)
        try:
            run()
        except context.dialect.loaded_dbapi.Error as error:
            if not (is_first and _is_stale(error)):
                raise
            context.handle_dbapi_exception(error)  # the dialect forgets its prepared statements
            context.pre_exec()
            connection.connection.rollback()
            run()
        return True  # it has run


def create_gates(settings: KitSettings) -> tuple[Gate, Gate]:
    """Return the gates of the reading and the writing engine."""
    places = settings.database_pool_size + settings.database_max_overflow
    timeout = settings.database_pool_timeout
    return Gate(places, timeout), Gate(places, timeout)


def create_migration_engine(settings: KitSettings) -> AsyncEngine:
    """Return an engine for migrations: one process at a time, each table within `lock_timeout`.

    A migration that waited for a table without a limit would block every statement behind it.
    """
    limits = limits_of(settings) | {"statement_timeout": "0"}
    engine = create_direct_engine(settings, poolclass=NullPool)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for name, value in {**limits, "lock_timeout": "0"}.items():
            cursor.execute(f"SET {name} = {value}")
        cursor.execute(f"SELECT pg_advisory_lock({_MIGRATIONS})")  # held as long as the connection
        cursor.execute(f"SET lock_timeout = {limits['lock_timeout']}")
        cursor.close()
        connection.commit()

    return engine


async def dispose(engine: AsyncEngine) -> None:
    """Close the connections; abort those that the server does not answer in time."""
    closing: list[AdaptedConnection] = []
    is_late = False

    @event.listens_for(engine.sync_engine.pool, "close")
    def note(connection: AdaptedConnection, _: object) -> None:
        closing.append(connection)
        if is_late:
            connection.driver_connection.terminate()

    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
            await engine.dispose()
    except TimeoutError:
        is_late = True
        closing[-1].driver_connection.terminate()
        await engine.dispose()


async def find_fault(connection: AsyncConnection, *, writes: bool) -> str | None:
    """Return why writes cannot succeed, None if they can; `writes` says which engine it is of."""
    read_only, migrated = (await connection.execute(_STATE, {"writes": writes})).one()
    if read_only:
        await connection.invalidate()  # after a fail-over, another server answers
        return "The database is read-only."
    return "The database is empty: run `python -m app migrate`." if migrated is None else None


def is_invalid_text(error: BaseException) -> bool:
    """Tell whether a text contains NUL or half of a surrogate pair."""
    cause: BaseException | None = error
    while cause is not None:  # the driver encodes the text; the server says so by a code
        if isinstance(cause, UnicodeEncodeError) or _sqlstate(cause) in _INVALID_TEXT:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_lost(error: DBAPIError, *, writes: bool) -> bool:
    """Tell whether connections must be replaced.

    The server of a writing one has become a standby, so that another one takes the writes, or a
    column's type has changed, which no prepared statement survives.
    """
    is_standby = writes and _sqlstate(error.orig) == _READ_ONLY
    return is_standby or _is_stale(error.orig)


def _is_stale(error: BaseException | None) -> bool:
    # Other messages may quote what a client has sent.
    return _sqlstate(error) in ("", "0A000") and _STALE_PLAN in str(error)


def is_contention(error: BaseException) -> bool:
    """Tell whether the server answers, and other transactions were in the way."""
    return _sqlstate(error).startswith(_CONTENTION) or _STALE_PLAN in str(error)


def _sqlstate(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def is_unavailable(error: DBAPIError) -> bool:
    """Tell whether a retry may help: the connection was lost, or the server is too busy."""
    sqlstate = _sqlstate(error.orig)
    return (
        error.connection_invalidated
        or sqlstate.startswith(_TRY_AGAIN)
        or sqlstate == _LOCK_NOT_AVAILABLE
    )
