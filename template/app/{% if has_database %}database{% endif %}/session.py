"""One scope's view of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

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

    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> CursorResult[Any]:
        """Return the result with its rows already fetched.

        Raises RuntimeError for an INSERT, UPDATE or DELETE outside a transaction, and DatabaseUnavailable.
        """
        if self.connection is not None:
            with unavailable():
                return await run(self.connection, statement, parameters)
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

    async def _read(
        self, statement: Executable, parameters: Parameters | None
    ) -> CursorResult[Any]:
        async with self.database.reading.connect() as connection:
            return await run(connection, statement, parameters)


async def run(
    connection: AsyncConnection, statement: Executable, parameters: Parameters | None
) -> CursorResult[Any]:
    """Run a statement. One that does not end in time takes its connection with it, which no rollback would reach."""
    try:
        return await connection.execute(statement, parameters)
    except OSError:
        await connection.invalidate()
        raise
