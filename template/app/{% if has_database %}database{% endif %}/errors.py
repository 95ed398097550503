"""A database that gives out is 503 with `Retry-After`; every other error of it stays a 500."""

import logging

from fastapi import FastAPI, Request, Response
from sqlalchemy import exc

from app.database.engines import is_unavailable
from app.web.problems import problem

logger = logging.getLogger(__name__)


async def _database_error(_: Request, error: Exception) -> Response:
    if isinstance(error, exc.DBAPIError) and not is_unavailable(error):
        raise error
    logger.warning("database unavailable", exc_info=error)
    return problem(503, "The database is too busy or does not answer.", {"Retry-After": "1"})


def add_database_handlers(app: FastAPI) -> None:
    app.add_exception_handler(exc.TimeoutError, _database_error)
    app.add_exception_handler(exc.DBAPIError, _database_error)
