"""The one rule of this service's data: only `Transaction` commits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

from app.database.database import Database
from app.database.errors import unavailable
from app.database.session import Session

logger = logging.getLogger(__name__)

AfterCommit = Callable[[], Awaitable[Any]]


class RolledBack(Exception):
    """The outer block ended well, but an inner one had failed: nothing was committed."""


class Transaction:
    """A scope's unit of work: `async with transaction: ...`.

    The outermost block begins and commits; inner ones join it, so that services compose. Any exception rolls
    back all of it. What was put off with `after_commit` runs once the commit stands.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._depth = 0
        self._failed = False
        self._task: asyncio.Task[Any] | None = None
        self._connection: Connection | None = None
        self._after_commit: list[AfterCommit] = []

    @property
    def is_open(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._depth > 0

    def after_commit(self, action: AfterCommit) -> None:
        """Put off `action` until the commit stands; after a rollback it never runs.

        An action that fails is logged and keeps nothing else from running: the data is already there.
        Raises RuntimeError outside a transaction.
        """
        if not self.is_open:
            raise RuntimeError("after_commit() stands inside `async with transaction:`")
        self._after_commit.append(action)

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if self._task not in (None, task):
            raise RuntimeError("a transaction belongs to one task: open a scope for the other one")
        if self._depth == 0:
            self._task, self._failed = task, False  # claimed before the first await
            database = self._session.database
            try:
                with unavailable():
                    self._connection = await _begin(database)
            except BaseException:
                self._task = None
                raise
            self._session.connection = AsyncConnection(database.writing, self._connection)
            self._session.untouched = True
        self._depth += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        self._failed = self._failed or error is not None
        if self._depth:
            return
        if self._failed and error is None:
            error = RolledBack("an inner block failed: let its exception pass")
        # A caller that is cancelled amid the commit must not leave it without what follows it.
        ending = asyncio.create_task(self._end(error))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])
            raise
        if isinstance(error, RolledBack):
            raise error

    async def _end(self, error: BaseException | None) -> None:
        """Commit and run what was put off, or roll back."""
        actions, self._after_commit = self._after_commit, []
        connection, self._connection = self._connection, None
        assert connection is not None, "set where the depth became 1"
        try:
            with unavailable():
                await greenlet_spawn(_commit if error is None else _roll_back, connection)
        finally:
            self._session.database.writing_gate.release()
            self._session.connection = None
            self._task = None
        for action in actions if error is None else ():
            try:
                await action()
            except Exception:
                logger.exception("an action after commit failed")


# What an `AsyncEngine.begin()` does in more steps, each in a greenlet of its own.


async def _begin(database: Database) -> Connection:
    await database.writing_gate.acquire()
    try:
        return await greenlet_spawn(_connect, database.writing.sync_engine)
    except BaseException:
        database.writing_gate.release()
        raise


def _connect(engine: Engine) -> Connection:
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: Connection) -> None:
    transaction = connection.get_transaction()
    assert transaction is not None, "only Transaction commits"
    with connection, transaction:
        pass  # commits; what cannot be committed is rolled back


def _roll_back(connection: Connection) -> None:
    with connection:
        connection.rollback()
