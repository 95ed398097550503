"""The connection pools, as one object that lives as long as the app."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.database.dialect import create_engines, create_gates, dispose, find_fault
from app.kit.database.errors import (
    DatabaseUnavailable,
    translate_connection_errors,
    translate_statement_errors,
)
from app.kit.database.gate import Gate
from app.kit.database.unit import watch_failures
from app.kit.errors import Unavailable, raises
from app.kit.outages import Outage
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)


@raises(DatabaseUnavailable)
class Engines:
    """`reading` runs statements without a transaction and refuses to write; `writing` commits."""

    def __init__(
        self, reading: AsyncEngine, writing: AsyncEngine, reading_gate: Gate, writing_gate: Gate
    ) -> None:
        self.reading = reading
        self.writing = writing
        self.reading_gate = reading_gate
        self.writing_gate = writing_gate
        self.outage = Outage(logger, "database")

    async def check(self) -> None:
        """Raise Unavailable, which says why, unless reads and writes can succeed."""
        is_busy = self.writing_gate.locked()  # which is no fault: do not wait in its queue
        gate, engine = self.writing_gate, self.writing
        if is_busy:
            gate, engine = self.reading_gate, self.reading
        with translate_connection_errors(self.outage):
            async with gate, engine.connect() as connection:
                fault = await find_fault(connection, writes=not is_busy)
        if fault is not None:
            raise Unavailable(fault)
        self.outage.succeed()


@asynccontextmanager
async def open_engines(settings: KitSettings) -> AsyncIterator[Engines]:
    """Open the pools. They connect on first use."""
    reading, writing = create_engines(settings)
    engines = Engines(reading, writing, *create_gates(settings))
    translate_statement_errors(reading.sync_engine, engines.outage, writes=False)
    translate_statement_errors(writing.sync_engine, engines.outage, writes=True)
    watch_failures(writing.sync_engine)
    try:
        yield engines
    finally:
        await asyncio.gather(dispose(reading), dispose(writing))
