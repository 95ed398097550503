"""Maps connection failures to `DatabaseUnavailable`; every other database error stays as it is."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.kit.database.dialect import is_unavailable
from app.kit.errors import Unavailable

logger = logging.getLogger(__name__)


class DatabaseUnavailable(Unavailable):
    """The pool is exhausted, the connection was lost, or the server is too busy."""

    def __init__(self, *, connection_lost: bool = False) -> None:
        super().__init__("The database is too busy or does not answer.")
        self.connection_lost = connection_lost


def translate_statement_errors(engine: Engine) -> None:
    """Raise DatabaseUnavailable wherever a statement of this engine fails for such a reason."""

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> DatabaseUnavailable | None:
        error = context.sqlalchemy_exception
        if isinstance(context.original_exception, OSError):
            # A statement that times out invalidates its connection: no rollback would reach it.
            context.is_disconnect = True
        elif not (isinstance(error, DBAPIError) and is_unavailable(error)):
            return None
        logger.warning("database unavailable: %r", context.original_exception)
        return DatabaseUnavailable(connection_lost=error is not None and context.is_disconnect)


@contextmanager
def translate_connection_errors() -> Iterator[None]:
    """Raise DatabaseUnavailable if no connection can be had, in time or at all."""
    try:
        yield
    except (PoolTimeoutError, OSError) as error:  # the built-in TimeoutError is an OSError
        logger.warning("database unavailable: %r", error)
        raise DatabaseUnavailable from error
