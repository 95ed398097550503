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


class Connection:
    """A connection for plain functions, kept open: a new one for each test would take longer than the test."""

    def __init__(self, url: URL) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(
            asyncpg.connect(url.render_as_string(hide_password=False))
        )

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self._runner.run(self._connection.execute(statement))

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    connection = Connection(url)
    try:
        yield connection
    finally:
        connection.close()


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


@pytest.fixture(scope="session")
def server(server_url: URL) -> Iterator[Connection]:
    with connected(server_url) as connection:
        yield connection


@contextmanager
def made(server: Connection, server_url: URL, template: str = "template1") -> Iterator[URL]:
    """Make a database; drop it at the end."""
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server_url.set(database=name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(server: Connection, server_url: URL) -> Iterator[str]:
    """The name of a database at the newest revision, to clone."""
    with made(server, server_url) as url:
        migrate(settings_for(url))
        yield str(url.database)


@pytest.fixture(scope="session")
def shared_database(
    server: Connection, server_url: URL, migrated: str
) -> Iterator[tuple[URL, Connection]]:
    with made(server, server_url, migrated) as url, connected(url) as connection:
        yield url, connection


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, server: Connection, server_url: URL, migrated: str
) -> Iterator[Settings]:
    if request.node.get_closest_marker("private_database"):
        with made(server, server_url, migrated) as url:
            yield settings_for(url)
        return
    url, connection = request.getfixturevalue("shared_database")
    yield settings_for(url)
    connection.execute(*(str(delete(table)) for table in reversed(metadata.sorted_tables)))


@pytest.fixture
def empty_settings(server: Connection, server_url: URL) -> Iterator[Settings]:
    """Settings with a database that has no tables yet."""
    with made(server, server_url) as url:
        yield settings_for(url)
