"""The revisions and the tables in the code say the same."""

import asyncio
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Column, Integer, Table, inspect, text

from app.database import UtcDateTime, metadata, migrations, open_database
from app.database.migrations import alembic_config, migrate, revise
from app.settings import Settings

ROOT = Path(__file__).parents[2]


def tables(settings: Settings) -> set[str]:
    async def inspected() -> set[str]:
        async with open_database(settings) as database, database.reading.connect() as connection:
            return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))

    return asyncio.run(inspected())


def test_the_newest_revision_has_every_table_of_the_code(settings: Settings) -> None:
    command.check(alembic_config(settings))
    assert set(metadata.tables) <= tables(settings)


def test_up_down_and_up_again(empty_settings: Settings) -> None:
    migrate(empty_settings)
    command.downgrade(alembic_config(empty_settings), "base")
    assert tables(empty_settings) == {"alembic_version"}
    migrate(empty_settings)
    migrate(empty_settings)
    command.check(alembic_config(empty_settings))


@pytest.mark.private_database
def test_a_revision_that_is_gone_is_named(settings: Settings) -> None:
    async def pretend() -> None:
        async with open_database(settings) as database, database.writing.begin() as connection:
            await connection.execute(text("INSERT INTO alembic_version VALUES ('gone_0001')"))

    asyncio.run(pretend())
    with pytest.raises(ValueError, match="'gone_0001': bring it down with the code that still"):
        migrate(settings)


@pytest.fixture
def copied_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the revisions that may be added to."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "migrations", root / "migrations")
    shutil.copy(ROOT / "pyproject.toml", root)
    monkeypatch.setattr(migrations, "_ROOT", root)
    return root


@pytest.mark.private_database
def test_own_revisions_stand_on_a_branch_of_their_own(
    settings: Settings, copied_root: Path, request: pytest.FixtureRequest
) -> None:
    def own() -> list[Script]:
        scripts = ScriptDirectory.from_config(alembic_config(settings)).walk_revisions()
        return [script for script in scripts if Path(script.path).parent.name == "versions"]

    before = len(own())
    for name in ("first_of_a_test", "second_of_a_test"):
        columns = Column("id", Integer, primary_key=True), Column("at", UtcDateTime)
        request.addfinalizer(partial(metadata.remove, Table(name, metadata, *columns)))
        revise(settings, f"add {name}")
        migrate(settings)
        assert name in tables(settings)
    newest, second, *_ = own()
    assert len(own()) == before + 2
    assert newest.down_revision == second.revision
    assert "app" in newest.branch_labels
    assert "users_0001" in (own()[-1].dependencies or ())
    command.check(alembic_config(settings))
    for check in (["check"], ["format", "--check"]):
        versions = str(copied_root / "migrations/versions")
        subprocess.run([sys.executable, "-m", "ruff", *check, "--no-cache", versions], check=True)
