"""The two engines on PostgreSQL.

Reads have an engine of their own, without transactions: that saves each of them the round trips of
BEGIN and ROLLBACK, and the server refuses a write on it.
"""

import asyncio
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import AdaptedConnection, DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.kit.database.gate import Gate
from app.kit.settings import KitSettings
from app.kit.settings.database_url import parse_database_url

_CLOSE_TIMEOUT_SECONDS = 2.0
_MIGRATIONS = 7_305_817_640_912_311
"""The advisory lock that serializes migrating processes."""

_TRY_AGAIN = ("08", "40", "53", "57")
"""SQLSTATE classes: connection, rollback (deadlock), resources, intervention (timeouts)."""
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY = "25006"
_INVALID_TEXT = ("22021", "22P05")  # NUL in text, in JSON
_STALE_PLAN = "cached statement plan is invalid"  # a column's type has changed
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
        "hide_parameters": True,  # errors are logged, and a parameter may be a password's hash
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": settings.database_pool_timeout,
        "pool_recycle": settings.database_pool_recycle,
    }
    url = parse_database_url(settings.database_url).url
    reading = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=_connect_args(settings, default_transaction_read_only="on"),
        **pool,
    )
    writing = create_async_engine(url, connect_args=_connect_args(settings), **pool)

    @event.listens_for(writing.sync_engine, "checkout")
    def check(connection: AdaptedConnection, *_: Any) -> None:
        """Replace a connection that the server has closed, before the transaction begins.

        `pool_pre_ping` takes three round trips for it. A read is repeated instead.
        """
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError

    return reading, writing


def create_gates(settings: KitSettings) -> tuple[Gate, Gate]:
    """Return the gates of the reading and the writing engine."""
    places = settings.database_pool_size + settings.database_max_overflow
    timeout = settings.database_pool_timeout
    return Gate(places, timeout), Gate(places, timeout)


def create_migration_engine(settings: KitSettings) -> AsyncEngine:
    """Return an engine for migrations: one process at a time, each table within `lock_timeout`.

    A migration that waited for a table without a limit would block every statement behind it.
    """
    arguments = _connect_args(settings, statement_timeout="0")
    arguments["command_timeout"] = None
    url = parse_database_url(settings.database_url).url
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(f"SELECT pg_advisory_lock({_MIGRATIONS})")  # held as long as the connection
        cursor.execute(f"SET lock_timeout = {_milliseconds(settings.database_lock_timeout)}")
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


def _connect_args(settings: KitSettings, **server_settings: str) -> dict[str, object]:
    connecting = parse_database_url(settings.database_url)
    return {
        "timeout": settings.database_connect_timeout,
        "command_timeout": settings.database_command_timeout,
        **connecting.arguments,
        "server_settings": {
            "application_name": settings.service_slug,
            **connecting.server_settings,
            "idle_in_transaction_session_timeout": _milliseconds(
                settings.database_idle_in_transaction_timeout
            ),
            "lock_timeout": _milliseconds(settings.database_lock_timeout),
            "statement_timeout": _milliseconds(settings.database_statement_timeout),
            **server_settings,
        },
    }


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


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
    # Other messages may quote what a client has sent.
    is_stale = _sqlstate(error.orig) in ("", "0A000") and _STALE_PLAN in str(error.orig)
    return is_standby or is_stale


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
