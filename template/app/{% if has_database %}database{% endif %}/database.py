"""The database as one long-lived object."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database.engines import create_engines, create_gates
from app.database.errors import unavailable
from app.database.gate import Gate
from app.settings import Settings

_PING = text("SELECT 1")


class Database:
    """`reading` runs single statements without a transaction and refuses to write; `writing` has transactions."""

    def __init__(
        self, reading: AsyncEngine, writing: AsyncEngine, reading_gate: Gate, writing_gate: Gate
    ) -> None:
        self.reading = reading
        self.writing = writing
        self.reading_gate = reading_gate
        self.writing_gate = writing_gate

    async def ping(self) -> None:
        """Return if the database answers. Raises DatabaseUnavailable."""
        with unavailable():
            async with self.reading_gate, self.reading.connect() as connection:
                await connection.execute(_PING)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the pools; they connect when they are first used."""
    reading, writing = create_engines(settings)
    try:
        yield Database(reading, writing, *create_gates(settings))
    finally:
        await reading.dispose()
        await writing.dispose()
