"""One scope's view of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Engine, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

from app.database.database import Database
from app.database.errors import unavailable

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Session:
    """Runs statements: inside a `Transaction` on its connection, outside each on its own.

    Outside, a statement reads without BEGIN and ROLLBACK and gives its connection back at once, so an idle
    scope (a socket, a slow download) holds none. What changes data has to stand inside a transaction.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection: AsyncConnection | None = None
        """That of the transaction; None outside."""
        self.untouched = False
        """Whether nothing has been run in the transaction yet."""

    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> CursorResult[Any]:
        """Return the result with its rows already fetched.

        Raises RuntimeError for an INSERT, UPDATE or DELETE outside a transaction, and DatabaseUnavailable.
        """
        if self.connection is not None:
            with unavailable():
                return await self._run(self.connection, statement, parameters)
        if getattr(statement, "is_dml", False):
            raise RuntimeError("this changes data: put it inside `async with transaction:`")
        with unavailable():
            try:
                return await self._read(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The server was restarted meanwhile, and the pool is empty now: this connection is a new one.
            return await self._read(statement, parameters)

    async def _run(
        self, connection: AsyncConnection, statement: Executable, parameters: Parameters | None
    ) -> CursorResult[Any]:
        untouched, self.untouched = self.untouched, False
        try:
            return await run(connection, statement, parameters)
        except DBAPIError as error:
            if not (untouched and error.connection_invalidated):
                raise
        # As above: nothing was done in the transaction yet, so that it begins anew on another connection.
        await connection.rollback()
        await connection.begin()
        return await run(connection, statement, parameters)

    async def _read(
        self, statement: Executable, parameters: Parameters | None
    ) -> CursorResult[Any]:
        # What AsyncConnection does in four steps, each in a greenlet of its own: a third of a read's cost.
        async with self.database.reading_gate:
            reading = self.database.reading.sync_engine
            return await greenlet_spawn(_read, reading, statement, parameters)


def _read(
    engine: Engine, statement: Executable, parameters: Parameters | None
) -> CursorResult[Any]:
    with engine.connect() as connection:
        try:
            return connection.execute(statement, parameters)
        except OSError:
            connection.invalidate()  # it did not end in time, see `run`
            raise


async def run(
    connection: AsyncConnection, statement: Executable, parameters: Parameters | None
) -> CursorResult[Any]:
    """Run a statement. One that does not end in time takes its connection with it, which no rollback would reach."""
    try:
        return await connection.execute(statement, parameters)
    except OSError:
        await connection.invalidate()
        raise
