"""The ORM session of one transaction, and what makes the transaction fail as a whole."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session, SessionTransaction

AfterCommit = Callable[[], Awaitable[Any]]

_STATE = "app.transaction"
_BY_HAND = (
    "the end of `async with db.transaction()` commits, an exception that leaves it rolls back, and "
    "`async with session.begin_nested()` undoes a part"
)


@dataclass(slots=True)
class _State:
    """The state of a connection since BEGIN."""

    callbacks: list[AfterCommit] = field(default_factory=list)
    savepoints: list[int] = field(default_factory=list)
    """For each open savepoint the number of callbacks before it."""
    failed_within: int | None = None
    """The number of savepoints around the failed part; None if no part has failed."""

    def fail(self) -> None:
        earlier = len(self.savepoints) if self.failed_within is None else self.failed_within
        self.failed_within = min(len(self.savepoints), earlier)


def watch_failures(engine: Engine) -> None:
    """Note statements that fail.

    After a failed statement, some databases turn COMMIT into a silent ROLLBACK; others commit the
    rest. Only a rollback to a savepoint around the statement leaves a good transaction.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info[_STATE] = _State()

    @event.listens_for(engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        if context.connection is not None and context.connection.in_transaction():
            state: _State | None = context.connection.info.get(_STATE)
            if state is not None:
                state.fail()

    @event.listens_for(engine, "savepoint")
    def set_savepoint(connection: Connection, _: str) -> None:
        state: _State = connection.info[_STATE]
        state.savepoints.append(len(state.callbacks))

    @event.listens_for(engine, "release_savepoint")
    def release(connection: Connection, *_: Any) -> None:
        if connection.invalidated:
            return
        state: _State = connection.info[_STATE]
        state.savepoints.pop()
        if state.failed_within is not None:
            state.failed_within = min(state.failed_within, len(state.savepoints))

    @event.listens_for(engine, "rollback_savepoint")
    def roll_back(connection: Connection, *_: Any) -> None:
        if connection.invalidated:  # nothing can be committed any more
            return
        state: _State = connection.info[_STATE]
        if state.failed_within is not None and state.failed_within >= len(state.savepoints):
            state.failed_within = None
        del state.callbacks[state.savepoints.pop() :]


class UnitSession(Session):
    """A session that only `Database` ends."""

    _root: SessionTransaction | None = None
    _state: _State

    def begin_unit(self) -> None:
        """Take a connection and begin: one that is known to be lost is replaced."""
        try:
            self._root = self.begin()
            self._state = self.connection().info[_STATE]
        except BaseException:
            super().close()
            raise

    def begin(self, nested: bool = False) -> SessionTransaction:
        """Begin, or set a savepoint, now: a session would wait for the first statement."""
        transaction = super().begin(nested)
        try:
            self.connection()
        except BaseException:
            transaction.rollback()
            raise
        return transaction

    def fail_unit(self) -> None:
        """Note that a part has failed: only a rollback to a savepoint around it lets it commit."""
        if self.is_active:  # after a failed flush, the session itself insists on the rollback
            self._state.fail()

    def after_commit(self, callback: AfterCommit) -> None:
        """Keep a callback; a rollback to a savepoint around this call drops it."""
        self._state.callbacks.append(callback)

    def has_failed(self) -> bool:
        """Return whether a part has failed since the innermost savepoint."""
        failed_within = self._state.failed_within
        failed = failed_within is not None and failed_within >= len(self._state.savepoints)
        return failed or not self.is_active  # a failed flush has rolled back already

    def end_unit(self, *, commit: bool) -> list[AfterCommit] | None:
        """Commit and return the callbacks; return None after a rollback.

        It rolls back if `commit` is false or a part has failed.
        """
        try:
            sound = self.is_active and self.get_transaction() is self._root
            if not (commit and sound and self._state.failed_within is None):
                return None
            try:
                super().commit()
            except BaseException:
                super().rollback()
                raise
            return self._state.callbacks
        finally:
            super().close()  # rolls back what is not committed

    def commit(self) -> NoReturn:
        raise RuntimeError(f"commit() by hand: {_BY_HAND}")

    def rollback(self) -> NoReturn:
        raise RuntimeError(f"rollback() by hand: {_BY_HAND}")

    def close(self) -> NoReturn:
        raise RuntimeError(f"close() by hand: {_BY_HAND}")
