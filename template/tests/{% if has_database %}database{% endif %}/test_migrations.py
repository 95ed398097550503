"""The revisions and the tables in the code say the same."""

import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.script import Script, ScriptDirectory
from sqlalchemy import create_engine, inspect

from app.database import metadata, migrations
from app.database.migrations import alembic_config, migrate, revise
from app.settings import Settings
from tests.conftest import settings_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "new" / "empty.db")


def tables(settings: Settings) -> set[str]:
    engine = create_engine(settings.database_url.replace("+aiosqlite", ""))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_newest_revision_has_every_table_of_the_code(settings: Settings) -> None:
    command.check(alembic_config(settings))
    assert set(metadata.tables) <= tables(settings)


def test_up_down_and_up_again(empty: Settings) -> None:
    migrate(empty)
    command.downgrade(alembic_config(empty), "base")
    assert tables(empty) == {"alembic_version"}
    migrate(empty)
    migrate(empty)
    command.check(alembic_config(empty))


@pytest.fixture
def copied_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the revisions that may be added to."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "migrations", root / "migrations")
    shutil.copy(ROOT / "pyproject.toml", root)
    monkeypatch.setattr(migrations, "_ROOT", root)
    return root


def test_own_revisions_stand_on_a_branch_of_their_own(
    settings: Settings, copied_root: Path
) -> None:
    def own() -> list[Script]:
        scripts = ScriptDirectory.from_config(alembic_config(settings)).walk_revisions()
        return [script for script in scripts if Path(script.path).parent.name == "versions"]

    before = len(own())
    for message in ("add notes", "add tags"):
        revise(settings, message)
        migrate(settings)
    newest, second, *_ = own()
    assert len(own()) == before + 2
    assert newest.down_revision == second.revision
    assert "app" in newest.branch_labels
    command.check(alembic_config(settings))
