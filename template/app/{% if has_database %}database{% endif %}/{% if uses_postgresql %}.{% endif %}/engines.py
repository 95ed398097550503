"""The two engines on PostgreSQL.

Reads have an engine of their own, without transactions: that saves each of them the round trips of BEGIN and
ROLLBACK, and the server refuses a write on it.
"""

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.database.gate import Gate
from app.settings import Settings

_MIGRATIONS = 7_305_817_640_912_311
"""The advisory lock that migrating processes queue for."""

_TRY_AGAIN = ("08", "40", "53", "57")
"""Classes of SQLSTATE: connection, rollback (deadlock), resources, operator intervention (timeout, shutdown)."""
_LOCK_NOT_AVAILABLE = "55P03"


def create_engines(settings: Settings) -> tuple[AsyncEngine, AsyncEngine]:
    """Return the reading engine, which refuses to write, and the writing engine. Nothing is opened yet."""
    pool = {
        "hide_parameters": True,  # errors are logged, and a parameter may be a password's hash
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": settings.database_pool_timeout,
        "pool_recycle": settings.database_pool_recycle,
    }
    # What first meets a lost connection is run again, see Session: no ping before each, which is three round trips.
    reading = create_async_engine(
        settings.database_url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=_connect_args(settings, default_transaction_read_only="on"),
        **pool,
    )
    writing = create_async_engine(
        settings.database_url,
        pool_pre_ping=settings.database_pool_pre_ping,
        connect_args=_connect_args(settings),
        **pool,
    )
    return reading, writing


def create_gates(settings: Settings) -> tuple[Gate, Gate]:
    """Return what lets in as many as the reading and the writing engine have connections."""
    places = settings.database_pool_size + settings.database_max_overflow
    timeout = settings.database_pool_timeout
    return Gate(places, timeout), Gate(places, timeout)


def create_migration_engine(settings: Settings) -> AsyncEngine:
    """Return an engine for migrations: they take turns, and wait for no table longer than `lock_timeout`.

    A migration that queued for a table without end would hold up everybody behind it.
    """
    arguments = _connect_args(settings, statement_timeout="0")
    arguments["command_timeout"] = None
    engine = create_async_engine(settings.database_url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(f"SELECT pg_advisory_lock({_MIGRATIONS})")  # gone with the connection
        cursor.execute(f"SET lock_timeout = {_milliseconds(settings.database_lock_timeout)}")
        cursor.close()
        connection.commit()

    return engine


def _connect_args(settings: Settings, **server_settings: str) -> dict[str, object]:
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
    """Tell whether trying again may help: the connection was lost, or the server is too busy."""
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    return (
        error.connection_invalidated
        or sqlstate.startswith(_TRY_AGAIN)
        or sqlstate == _LOCK_NOT_AVAILABLE
    )
