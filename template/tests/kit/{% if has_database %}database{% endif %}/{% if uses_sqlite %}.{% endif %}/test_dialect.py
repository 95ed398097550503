"""The settings that keep SQLite from losing updates."""

import asyncio
import sqlite3
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.database import open_engines
from app.kit.database.dialect import create_engines
from app.settings import Settings


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
