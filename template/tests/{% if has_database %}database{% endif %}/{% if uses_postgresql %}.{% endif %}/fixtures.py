"""A database that is empty when a test begins, on a server that is made for the run.

With `TEST_DATABASE_URL` that server is used instead: the tests make databases of their own there and drop them; they
never touch one that they did not make. Commits are real; what a test wrote is deleted after it. One that is marked
`private_database` gets a clone that is dropped.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import URL, delete, make_url

from app.database import metadata
from app.database.migrations import migrate
from app.settings import Settings
from devservers.postgresql import NoPostgreSQL, running
from tests.helpers import GivenSettings


def settings_for(url: URL) -> Settings:
    return GivenSettings(
        database_url=url.render_as_string(hide_password=False),
        secret_key="a key for tests that guards nothing",
    )


def execute(url: URL, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url.render_as_string(hide_password=False))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """The server of this run; workers of `pytest -n` share it."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql")
        return
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    try:
        with running(folder / "postgresql", keep=False) as url:
            yield make_url(url)
    except NoPostgreSQL as error:
        pytest.fail(str(error).format(variable="TEST_DATABASE_URL"))


@contextmanager
def made(server_url: URL, template: str = "template1") -> Iterator[URL]:
    """Make a database; drop it at the end."""
    name = f"test_{uuid4().hex}"
    execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server_url.set(database=name)
    finally:
        execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(server_url: URL) -> Iterator[str]:
    """The name of a database at the newest revision, to clone."""
    with made(server_url) as url:
        migrate(settings_for(url))
        yield str(url.database)


@pytest.fixture(scope="session")
def shared_database(server_url: URL, migrated: str) -> Iterator[URL]:
    with made(server_url, migrated) as url:
        yield url


@pytest.fixture
def settings(request: pytest.FixtureRequest, server_url: URL, migrated: str) -> Iterator[Settings]:
    if request.node.get_closest_marker("private_database"):
        with made(server_url, migrated) as url:
            yield settings_for(url)
        return
    url = request.getfixturevalue("shared_database")
    yield settings_for(url)
    execute(url, *(str(delete(table)) for table in reversed(metadata.sorted_tables)))


@pytest.fixture
def empty_settings(server_url: URL) -> Iterator[Settings]:
    """Settings with a database that has no tables yet."""
    with made(server_url) as url:
        yield settings_for(url)
