"""The two engines on SQLite.

Measured: with the driver's defaults, or with WAL and a plain `BEGIN`, concurrent
read-modify-writes lose updates or fail with "database is locked". `BEGIN IMMEDIATE` loses none but
makes concurrent reads fail. Reads therefore have an engine of their own, without transactions.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from sqlite3 import (
    SQLITE_BUSY,
    SQLITE_CANTOPEN,
    SQLITE_FULL,
    SQLITE_IOERR,
    SQLITE_LOCKED,
    Connection,
    OperationalError,
)
from typing import Any

from sqlalchemy import Dialect, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_, greenlet_spawn

from app.kit.database.gate import Gate
from app.kit.errors import InvalidText
from app.kit.settings import KitSettings

CONNECTION_ERRORS: tuple[type[Exception], ...] = ()
"""Errors of the driver that are raised as they are if no connection can be had: none."""

_READERS = 5
_MIGRATION_TIMEOUT_SECONDS = 60.0  # for the processes that migrate before this one
_MIGRATED = text("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")


def create_engines(settings: KitSettings) -> tuple[AsyncEngine, AsyncEngine]:
    """Return the reading engine, which refuses to write, and the writing engine.

    Neither connects yet.
    """
    url = make_url(settings.database_url)
    _create_file(Path(url.database or ""))
    options = {
        "hide_parameters": True,  # errors are logged, and a parameter may be a password's hash
        "connect_args": {"timeout": settings.database_timeout},
        "pool_timeout": settings.database_timeout,
    }
    reading = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=_READERS,
        max_overflow=0,
        **options,
    )
    # SQLite has one writer at a time. Writers wait in order here instead of polling for the lock.
    writing = create_async_engine(url, pool_size=1, max_overflow=0, **options)

    @event.listens_for(reading.sync_engine, "do_connect")
    @event.listens_for(writing.sync_engine, "do_connect")
    def connect(
        dialect: Dialect, _: object, arguments: Sequence[Any], options: Mapping[str, Any]
    ) -> DBAPIConnection:
        return await_(_connect(dialect, arguments, options))

    @event.listens_for(reading.sync_engine, "before_cursor_execute")
    @event.listens_for(writing.sync_engine, "before_cursor_execute")
    def check_text(_: object, __: object, ___: str, parameters: Any, *____: object) -> None:
        # SQLite stores NUL, and most of its functions take it for the end of the text.
        for row in parameters if isinstance(parameters, list) else [parameters]:
            if any(isinstance(value, str) and "\0" in value for value in row):
                raise InvalidText

    @event.listens_for(reading.sync_engine, "connect")
    def prepare_reading(connection: Connection, _: object) -> None:
        _execute(connection, "PRAGMA query_only = ON")

    @event.listens_for(writing.sync_engine, "connect")
    def prepare_writing(connection: Connection, _: object) -> None:
        connection.isolation_level = None  # the driver sends no BEGIN of its own
        _execute(
            connection,
            "PRAGMA journal_mode = WAL",  # readers and the writer do not block each other
            "PRAGMA synchronous = NORMAL",  # safe in WAL mode: a crash of the process loses nothing
            "PRAGMA foreign_keys = ON",
        )

    @event.listens_for(writing.sync_engine, "invalidate")
    def give_up(connection: DBAPIConnection, *_: object) -> None:
        # SQLite keeps the lock of a closed connection while one of its cursors is open. The cursor
        # of a cancelled statement stays open until garbage is collected.
        with suppress(Exception):
            connection.rollback()

    @event.listens_for(writing.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return reading, writing


def create_gates(settings: KitSettings) -> tuple[Gate, Gate]:
    """Return the gates of the reading and the writing engine."""
    return Gate(_READERS, settings.database_timeout), Gate(1, settings.database_timeout)


def create_migration_engine(settings: KitSettings) -> AsyncEngine:
    """Return an engine for migrations: it writes, one process at a time, without foreign keys.

    SQLite alters a table by copying it and dropping the old one, which would delete the rows that
    refer to it.
    """
    patient = settings.model_copy(update={"database_timeout": _MIGRATION_TIMEOUT_SECONDS})
    _, engine = create_engines(patient)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Connection, _: object) -> None:
        _execute(connection, "PRAGMA foreign_keys = OFF")

    return engine


async def _connect(
    dialect: Dialect, arguments: Sequence[Any], options: Mapping[str, Any]
) -> DBAPIConnection:
    """Open a connection. If the caller is cancelled, wait until it is open and close it.

    aiosqlite forgets a connection whose opening is cancelled: its file would stay open
    (omnilib/aiosqlite#259).
    """
    opening = asyncio.create_task(greenlet_spawn(dialect.connect, *arguments, **options))
    try:
        await asyncio.wait([opening])
    except asyncio.CancelledError:
        await _finish(opening)
        if not opening.cancelled() and opening.exception() is None:
            await _finish(asyncio.create_task(greenlet_spawn(opening.result().close)))
        raise
    return opening.result()


async def _finish(task: asyncio.Task[Any]) -> None:
    """Wait for a short task, however often the caller is cancelled."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])


def _execute(connection: Connection, *statements: str) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


async def dispose(engine: AsyncEngine) -> None:
    """Close the connections."""
    await engine.dispose()


def _create_file(path: Path) -> None:
    """Create the database and its folder for this user alone, unless they exist."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # an existing file that is not writable: connecting says more
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


async def find_fault(connection: AsyncConnection, *, writes: bool) -> str | None:
    """Return why writes cannot succeed, None if they can."""
    path = connection.engine.url.database or ""
    if not os.access(path, os.R_OK | os.W_OK):  # open connections go on with a deleted file
        return "The file of the database is gone, or not writable."
    is_migrated = (await connection.execute(_MIGRATED)).first() is not None
    return None if is_migrated else "The database is empty: run `python -m app migrate`."


def is_invalid_text(error: BaseException) -> bool:
    return isinstance(error, UnicodeEncodeError)  # half of a surrogate pair


def is_contention(error: BaseException) -> bool:
    """Tell whether another writer was in the way."""
    busy = (SQLITE_BUSY, SQLITE_LOCKED)
    return isinstance(error, OperationalError) and error.sqlite_errorcode & 0xFF in busy


def is_lost(error: DBAPIError, *, writes: bool) -> bool:
    """Tell whether the connection must be replaced; that of a file never must."""
    return False


def is_unavailable(error: DBAPIError) -> bool:
    """Tell whether a retry may help: the lock was held for too long, or the disk failed."""
    codes = (SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR)
    return isinstance(error.orig, OperationalError) and error.orig.sqlite_errorcode & 0xFF in codes
