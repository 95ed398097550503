"""The ORM session of one transaction, and what makes the transaction fail as a whole."""

from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session, SessionTransaction

_STATE = "app.transaction"
_BY_HAND = (
    "the end of `async with db.transaction()` commits, an exception that leaves it rolls back, and "
    "`async with session.begin_nested()` undoes a part"
)


@dataclass(slots=True)
class _State:
    """The state of a connection since BEGIN."""

    savepoints: int = 0
    failed_within: int | None = None
    """The number of savepoints around the failed part; None if no part has failed."""

    def fail(self) -> None:
        earlier = self.savepoints if self.failed_within is None else self.failed_within
        self.failed_within = min(self.savepoints, earlier)


def watch_failures(engine: Engine) -> None:
    """Note statements that fail.

    After a failed statement, one database turns COMMIT into a silent ROLLBACK and another commits
    the rest. Only a rollback to a savepoint around the statement leaves a good transaction.
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
        connection.info[_STATE].savepoints += 1

    @event.listens_for(engine, "release_savepoint")
    def release(connection: Connection, *_: Any) -> None:
        state: _State = connection.info[_STATE]
        state.savepoints -= 1
        if state.failed_within is not None:
            state.failed_within = min(state.failed_within, state.savepoints)

    @event.listens_for(engine, "rollback_savepoint")
    def roll_back(connection: Connection, *_: Any) -> None:
        state: _State = connection.info[_STATE]
        if state.failed_within is not None and state.failed_within >= state.savepoints:
            state.failed_within = None
        state.savepoints -= 1


class UnitSession(Session):
    """A session that only `Database` ends."""

    _root: SessionTransaction | None = None
    _state: _State

    def begin_unit(self) -> None:
        """Take a connection and send BEGIN: a lost one is replaced while nothing has run yet."""
        try:
            self._root = self.begin()
            self._state = self.connection().info[_STATE]
        except BaseException:
            super().close()
            raise

    def fail_unit(self) -> None:
        """Note that a part has failed: only a rollback to a savepoint around it lets it commit."""
        if self.is_active:  # after a failed flush, the session itself insists on the rollback
            self._state.fail()

    def end_unit(self, *, commit: bool) -> bool:
        """Commit, or roll back if that was asked for or a part has failed. Tell which."""
        try:
            sound = self.is_active and self.get_transaction() is self._root
            if not (commit and sound and self._state.failed_within is None):
                return False
            try:
                super().commit()
            except BaseException:
                super().rollback()
                raise
            return True
        finally:
            super().close()  # rolls back what is not committed

    def commit(self) -> NoReturn:
        raise RuntimeError(f"commit() by hand: {_BY_HAND}")

    def rollback(self) -> NoReturn:
        raise RuntimeError(f"rollback() by hand: {_BY_HAND}")

    def close(self) -> NoReturn:
        raise RuntimeError(f"close() by hand: {_BY_HAND}")
