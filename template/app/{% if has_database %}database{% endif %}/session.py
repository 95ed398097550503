"""One scope's view of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database.database import Database

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

        Raises RuntimeError for an INSERT, UPDATE or DELETE outside a transaction.
        """
        if self.connection is not None:
            return await self.connection.execute(statement, parameters)
        if getattr(statement, "is_dml", False):
            raise RuntimeError("this changes data: put it inside `async with transaction:`")
        async with self.database.reading.connect() as connection:
            return await connection.execute(statement, parameters)
