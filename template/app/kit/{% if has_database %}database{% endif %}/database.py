"""One unit of work's access to the database. One rule: only `Database.transaction()` commits."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from sqlalchemy import Executable, Result, ScalarResult
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.database.engines import Engines
from app.kit.database.errors import translate_connection_errors
from app.kit.database.reading import Parameters, read
from app.kit.database.unit import AfterCommit, UnitSession

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import TypedReturnsRows

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

logger = logging.getLogger(__name__)

_CAUGHT = "a part failed and its exception was caught: let it propagate"


class RolledBack(Exception):
    """The block ended without an exception, but a part of it had failed: nothing was committed."""


class Database:
    """Reads and writes for one scope: a request, a job, a command, a message.

    Outside of a transaction a statement reads without BEGIN and returns its connection at once, so
    an idle scope holds none. The objects it returns are detached: change them in a transaction.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._session: AsyncSession | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def in_transaction(self) -> bool:
        return self._session is not None

    @overload
    async def execute(
        self, statement: "TypedReturnsRows[*Ts]", parameters: Parameters | None = None
    ) -> Result[*Ts]: ...

    @overload
    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> Result[*tuple[Any, ...]]: ...

    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> Result[*tuple[Any, ...]]:
        """Run a statement: in the open transaction, else as a read of its own.

        Raise RuntimeError for INSERT, UPDATE or DELETE outside of a transaction, and
        DatabaseUnavailable.
        """
        if self._session is not None:
            self._check_task()
            return await self._session.execute(statement, parameters)
        if getattr(statement, "is_dml", False):
            raise RuntimeError("this changes data: run it inside `async with db.transaction():`")
        return await read(self._engines, statement, parameters)

    async def scalars(
        self, statement: "TypedReturnsRows[T]", parameters: Parameters | None = None
    ) -> ScalarResult[T]:
        """Run a statement and return the first column of each row."""
        return (await self.execute(statement, parameters)).scalars()

    async def scalar(
        self, statement: "TypedReturnsRows[T]", parameters: Parameters | None = None
    ) -> T | None:
        """Return the first row's first column, or None."""
        return (await self.execute(statement, parameters)).scalar()

    async def scalar_one_or_none(
        self, statement: "TypedReturnsRows[T]", parameters: Parameters | None = None
    ) -> T | None:
        """Return the only row's first column, or None. Raise MultipleResultsFound."""
        return (await self.execute(statement, parameters)).scalar_one_or_none()

    def after_commit(self, callback: AfterCommit) -> None:
        """Call `callback` after the commit. A rollback, also one to a savepoint, drops it.

        A callback that fails is logged and stops nothing else: the data is committed already.
        Raise RuntimeError outside of a transaction.
        """
        if self._session is None:
            raise RuntimeError("after_commit() must be called inside `async with db.transaction()`")
        self._check_task()
        _unit(self._session).after_commit(callback)

    @asynccontextmanager
    async def transaction(self, *, savepoint: bool = False) -> AsyncIterator[AsyncSession]:
        """Begin a transaction, or join the open one, and yield its session.

        The outermost block commits at its end. Any exception rolls back everything. Raise
        RolledBack if a part failed and its exception was caught.

        With `savepoint`, an exception that leaves a joined block undoes that block alone, so the
        caller may catch it.
        """
        self._check_task()
        if self._session is not None and savepoint:
            async with self._session.begin_nested():
                yield self._session
                if _unit(self._session).has_failed():
                    raise RolledBack(_CAUGHT)
            return
        if self._session is not None:
            try:
                yield self._session
            except BaseException:
                _unit(self._session).fail_unit()
                raise
            return
        self._task = asyncio.current_task()  # claimed before the first await
        try:
            self._session = await self._begin()
        except BaseException:
            self._task = None
            raise
        try:
            yield self._session
        except BaseException:
            await self._finish(commit=False)
            raise
        await self._finish(commit=True)

    def _check_task(self) -> None:
        if self._task not in (None, asyncio.current_task()):
            raise RuntimeError("a transaction belongs to one task: open a scope for the other one")

    async def _begin(self) -> AsyncSession:
        with translate_connection_errors(self._engines.outage):
            await self._engines.writing_gate.acquire()
            try:
                session = AsyncSession(
                    self._engines.writing,
                    sync_session_class=UnitSession,
                    expire_on_commit=False,
                    autobegin=False,
                )
                await session.run_sync(lambda _: _unit(session).begin_unit())
            except BaseException:
                self._engines.writing_gate.release()
                raise
        return session

    async def _finish(self, *, commit: bool) -> None:
        """Finish the commit and its callbacks, however often the caller is cancelled."""
        ending = asyncio.create_task(self._end(commit=commit))
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is None:
            ending.result()
        else:
            if failure := ending.exception():
                logger.error("a cancelled caller's transaction failed", exc_info=failure)
            raise cancelled

    async def _end(self, *, commit: bool) -> None:
        assert self._session is not None
        unit = _unit(self._session)
        try:
            callbacks = await self._session.run_sync(lambda _: unit.end_unit(commit=commit))
        finally:
            self._engines.writing_gate.release()
            self._session = self._task = None
        if commit and callbacks is None:
            raise RolledBack(_CAUGHT)
        if commit:
            self._engines.outage.succeed()
        for callback in callbacks or ():
            try:
                await callback()
            except (Exception, asyncio.CancelledError):
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                logger.exception("a callback after the commit failed")


def _unit(session: AsyncSession) -> UnitSession:
    unit = session.sync_session
    assert isinstance(unit, UnitSession)
    return unit
