"""A database for each test: a copy of a migrated file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.kit.database.migrations import migrate
from app.settings import Settings
from tests.kit.database.unmigrated import add_what_no_revision_has


def url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture(scope="session")
def migrated_file(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings]
) -> Path:
    """A database at the newest revision, made once a run."""
    file = tmp_path_factory.mktemp("database") / "migrated.db"
    settings = make_settings(database_url=url_of(file))
    migrate(settings)
    add_what_no_revision_has(settings)
    return file


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """The database of one test."""
    file = tmp_path / "test.db"
    shutil.copy(migrated_file, file)
    return url_of(file)


@pytest.fixture
def empty_settings(tmp_path: Path, make_settings: Callable[..., Settings]) -> Settings:
    """Settings with a database that has no tables yet."""
    return make_settings(database_url=url_of(tmp_path / "new" / "empty.db"))
