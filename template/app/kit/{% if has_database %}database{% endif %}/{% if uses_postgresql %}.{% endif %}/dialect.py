"""The two engines on PostgreSQL.

Reads have an engine of their own, without transactions: that saves each of them the round trips of
BEGIN and ROLLBACK, and the server refuses a write on it.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine.interfaces import AdaptedConnection, DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.kit.database.gate import Gate
from app.kit.settings import KitSettings

_MIGRATIONS = 7_305_817_640_912_311
"""The advisory lock that serializes migrating processes."""

_TRY_AGAIN = ("08", "40", "53", "57")
"""SQLSTATE classes: connection, rollback (deadlock), resources, intervention (timeouts)."""
_LOCK_NOT_AVAILABLE = "55P03"


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
    reading = create_async_engine(
        settings.database_url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=_connect_args(settings, default_transaction_read_only="on"),
        **pool,
    )
    writing = create_async_engine(
        settings.database_url, connect_args=_connect_args(settings), **pool
    )

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
    engine = create_async_engine(settings.database_url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(f"SELECT pg_advisory_lock({_MIGRATIONS})")  # held as long as the connection
        cursor.execute(f"SET lock_timeout = {_milliseconds(settings.database_lock_timeout)}")
        cursor.close()
        connection.commit()

    return engine


def _connect_args(settings: KitSettings, **server_settings: str) -> dict[str, object]:
    return {
        "timeout": settings.database_connect_timeout,
        "command_timeout": settings.database_command_timeout,
        "server_settings": {
            "application_name": "app",
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


def is_unavailable(error: DBAPIError) -> bool:
    """Tell whether a retry may help: the connection was lost, or the server is too busy."""
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    return (
        error.connection_invalidated
        or sqlstate.startswith(_TRY_AGAIN)
        or sqlstate == _LOCK_NOT_AVAILABLE
    )
