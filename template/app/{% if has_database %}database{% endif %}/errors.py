"""A database that gives out is `DatabaseUnavailable`; every other error of it stays what it is."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from app.database.engines import is_unavailable
from app.errors import Unavailable

logger = logging.getLogger(__name__)


class DatabaseUnavailable(Unavailable):
    """The pool is exhausted, the connection was lost, or the server is too busy."""

    def __init__(self) -> None:
        super().__init__("The database is too busy or does not answer.")


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise DatabaseUnavailable for what may be tried again, and log its cause."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError, OSError) as error:  # TimeoutError is an OSError
        if isinstance(error, exc.DBAPIError) and not is_unavailable(error):
            raise
        logger.warning("database unavailable: %r", error)
        raise DatabaseUnavailable from error
