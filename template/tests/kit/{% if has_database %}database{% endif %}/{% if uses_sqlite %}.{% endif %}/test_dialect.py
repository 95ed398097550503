"""The settings that keep SQLite from losing updates."""

import asyncio
import logging
import os
import sqlite3
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.database import Database, open_engines
from app.kit.database.dialect import create_engines
from app.kit.errors import Unavailable
from app.kit.logs import configure_logging
from app.settings import Settings
from tests.kit.helpers import GivenSettings


async def pragma(engine: AsyncEngine, name: str) -> object:
    async with engine.connect() as connection:
        return (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()


async def test_connections_are_set_up(settings: Settings) -> None:
    async with open_engines(settings) as engines:
        assert await pragma(engines.writing, "journal_mode") == "wal"
        assert await pragma(engines.writing, "foreign_keys") == 1
        assert await pragma(engines.reading, "query_only") == 1
        for engine in (engines.reading, engines.writing):
            assert await pragma(engine, "busy_timeout") == settings.database_timeout * 1000


async def test_a_transaction_takes_the_lock_when_it_begins(settings: Settings) -> None:
    """A deferred transaction would read first, then fail or lose an update when it writes."""
    impatient = settings.model_copy(update={"database_timeout": 0.1})
    _, other = create_engines(impatient)
    async with open_engines(settings) as engines, engines.writing.begin():
        with pytest.raises(DBAPIError, match="locked"):
            async with other.begin():
                pass
    await other.dispose()


@pytest.mark.parametrize("name", ["reading", "writing"])
async def test_cancelled_connect_leaves_no_connection_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    opening, may_open = Event(), Event()
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connect_slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opening.set()
        may_open.wait()
        opened.append(connect(*arguments, **options))
        return opened[0]

    monkeypatch.setattr(sqlite3, "connect", connect_slowly)
    async with open_engines(settings) as engines:
        task = asyncio.create_task(pragma(getattr(engines, name), "user_version"))
        await asyncio.to_thread(opening.wait)
        for _ in range(3):  # anyio's cancel scopes cancel again and again
            task.cancel()
            await asyncio.sleep(0)
        may_open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")


async def test_an_error_does_not_show_its_parameters(settings: Settings) -> None:
    async with open_engines(settings) as engines, engines.reading.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT * FROM nowhere WHERE a = :a"), {"a": "hash"})
        assert "hash" not in str(raised.value)


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_files_are_for_this_user_alone(settings: Settings, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/folder/data/app.db"
    given = GivenSettings(**{**settings.model_dump(), "database_url": url})
    async with open_engines(given) as engines, engines.writing.begin() as connection:
        await connection.execute(text("CREATE TABLE a (b)"))
        assert modes(tmp_path / "folder/data") == {0o600}
    assert modes(tmp_path / "folder") == {0o700}


async def test_database_without_a_file_or_tables_is_not_ready(
    settings: Settings, empty_settings: Settings
) -> None:
    async with open_engines(empty_settings) as engines:
        with pytest.raises(Unavailable, match="empty"):
            await engines.check()
    async with open_engines(settings) as engines:
        await engines.check()
        os.unlink(engines.writing.url.database or "")
        with pytest.raises(Unavailable, match="gone"):
            await engines.check()


async def test_the_log_shows_no_values(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver logs parameters at DEBUG, passwords' hashes among them."""
    handlers = logging.getLogger().handlers[:]
    configure_logging(settings.model_copy(update={"log_level": "DEBUG"}))
    logging.getLogger().handlers[:] = handlers
    try:
        async with open_engines(settings) as engines:
            await Database(engines).execute(text("SELECT :a"), {"a": "the-hash"})
        logging.getLogger("app.users").debug("of the service")
    finally:
        configure_logging(settings)
        logging.getLogger().handlers[:] = handlers
    assert "the-hash" not in caplog.text
    assert "of the service" in caplog.text
