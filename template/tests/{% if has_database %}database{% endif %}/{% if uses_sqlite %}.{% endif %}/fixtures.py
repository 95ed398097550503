"""A database for each test: a copy of a migrated file. What a test commits, nobody else sees."""

import shutil
from pathlib import Path

import pytest

from app.database.migrations import migrate
from app.settings import Settings
from tests.helpers import GivenSettings


def settings_for(database: Path) -> Settings:
    return GivenSettings(
        database_url=f"sqlite+aiosqlite:///{database}",
        secret_key="a key for tests that guards nothing",
    )


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at the newest revision, made once a run."""
    database = tmp_path_factory.mktemp("database") / "migrated.db"
    migrate(settings_for(database))
    return database


@pytest.fixture
def settings(migrated_database: Path, tmp_path: Path) -> Settings:
    database = tmp_path / "test.db"
    shutil.copy(migrated_database, database)
    return settings_for(database)


@pytest.fixture
def empty_settings(tmp_path: Path) -> Settings:
    """Settings with a database that has no tables yet."""
    return settings_for(tmp_path / "new" / "empty.db")
