"""The connection pools, as one object that lives as long as the app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.database.dialect import create_engines, create_gates
from app.kit.database.errors import translate_connection_errors, translate_statement_errors
from app.kit.database.gate import Gate
from app.kit.database.unit import watch_failures
from app.kit.settings import KitSettings

_PING = text("SELECT 1")


class Engines:
    """`reading` runs statements without a transaction and refuses to write; `writing` commits."""

    def __init__(
        self, reading: AsyncEngine, writing: AsyncEngine, reading_gate: Gate, writing_gate: Gate
    ) -> None:
        self.reading = reading
        self.writing = writing
        self.reading_gate = reading_gate
        self.writing_gate = writing_gate

    async def ping(self) -> None:
        """Raise DatabaseUnavailable if the database does not answer."""
        with translate_connection_errors():
            async with self.reading_gate, self.reading.connect() as connection:
                await connection.execute(_PING)


@asynccontextmanager
async def open_engines(settings: KitSettings) -> AsyncIterator[Engines]:
    """Open the pools. They connect on first use."""
    reading, writing = create_engines(settings)
    for engine in (reading, writing):
        translate_statement_errors(engine.sync_engine)
    watch_failures(writing.sync_engine)
    try:
        yield Engines(reading, writing, *create_gates(settings))
    finally:
        await reading.dispose()
        await writing.dispose()
