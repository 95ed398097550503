"""Maps connection failures to `DatabaseUnavailable` and invalid text to `InvalidText`.

Every other database error stays as it is.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.kit.database.dialect import (
    CONNECTION_ERRORS,
    is_contention,
    is_invalid_text,
    is_lost,
    is_unavailable,
)
from app.kit.errors import InvalidText, ServiceError, Unavailable
from app.kit.outages import Outage, describe

logger = logging.getLogger(__name__)

# The built-in TimeoutError is an OSError.
_NOT_CONNECTED: tuple[type[Exception], ...] = (PoolTimeoutError, OSError, *CONNECTION_ERRORS)


class DatabaseUnavailable(Unavailable):
    """The pool is exhausted, the connection was lost, or the server is too busy."""

    def __init__(self, *, connection_lost: bool = False) -> None:
        super().__init__("The database is too busy or does not answer.")
        self.connection_lost = connection_lost


def translate_statement_errors(engine: Engine, outage: Outage, *, writes: bool) -> None:
    """Raise DatabaseUnavailable or InvalidText wherever a statement of this engine fails so."""

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> ServiceError | None:
        error, is_connected = context.sqlalchemy_exception, context.connection is not None
        if is_invalid_text(context.original_exception):
            return InvalidText()
        if isinstance(context.original_exception, OSError) or (
            isinstance(error, DBAPIError) and is_lost(error, writes=writes)
        ):
            # A statement that times out invalidates its connection: no rollback would reach it.
            context.is_disconnect = True
        elif not isinstance(error, DBAPIError) or (is_connected and not is_unavailable(error)):
            return None
        if is_contention(context.original_exception):
            logger.warning("statement given up: %s", describe(context.original_exception))
        else:
            outage.fail(context.original_exception)
        return DatabaseUnavailable(connection_lost=error is not None and context.is_disconnect)


@contextmanager
def translate_connection_errors(outage: Outage) -> Iterator[None]:
    """Raise DatabaseUnavailable if no connection can be had, in time or at all."""
    try:
        yield
    except _NOT_CONNECTED as error:
        outage.fail(error)
        raise DatabaseUnavailable from error
