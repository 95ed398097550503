"""The database of the development server."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from app.kit.development import postgresql
from app.kit.development.environment import is_set


@contextmanager
def running() -> Iterator[None]:
    """Start a server with its data in `data/`, unless `DATABASE_URL` is set."""
    if is_set("DATABASE_URL"):
        yield
        return
    try:
        with postgresql.running(Path("data/postgresql").absolute(), keep=True) as server_url:
            url = os.environ["DATABASE_URL"] = asyncio.run(_create_database(server_url))
            print(f"PostgreSQL: {url}")
            print("To use another, set DATABASE_URL=postgresql://user:password@localhost:5432/app")
            yield
    except postgresql.NoPostgreSQL as error:
        sys.exit(str(error).format(variable="DATABASE_URL"))


async def _create_database(server_url: str) -> str:
    """Return the URL of the database `app`; create it if it does not exist."""
    connection = await asyncpg.connect(server_url)
    if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'app'"):
        await connection.execute("CREATE DATABASE app")
    await connection.close()
    return server_url.replace("/postgres?", "/app?")
