"""Revisions that run while the service does."""

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from app.kit.database import Database, migrations, open_engines
from app.kit.database.migrations import downgrade, migrate
from app.kit.errors import ServiceError
from app.settings import Settings

ROOT = Path(__file__).parents[3]
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "city_0001", None
branch_labels, depends_on = ("city",), "users_0001"


def upgrade() -> None:
    op.add_column("users", sa.Column("city", sa.String(), nullable=True))
    with op.get_context().autocommit_block():
        op.create_index("ix_users_city", "users", ["city"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_users_city", "users", postgresql_concurrently=True)
    op.drop_column("users", "city")
"""
INDEX = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_users_city')")


def index(settings: Settings) -> object:
    """Return whether the index is valid, None if there is none."""

    async def read() -> object:
        async with open_engines(settings) as engines:
            return (await Database(engines).execute(INDEX)).scalar_one_or_none()

    return asyncio.run(read())


@pytest.mark.private_database
def test_index_is_created_concurrently(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that takes part in no transaction, in a revision with one that does."""
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(migrations, "_ROOT", tmp_path)
    (tmp_path / "migrations/versions/city_0001.py").write_text(REVISION)
    migrate(settings)
    assert index(settings) is True
    downgrade(settings, "city@base")
    assert index(settings) is None
    migrate(settings)
    assert index(settings) is True


@pytest.mark.parametrize("name", ["database_url", "database_direct_url"])
def test_unreachable_database_is_said_in_one_line(settings: Settings, name: str) -> None:
    """The server itself, if it is named: a pooler has no session for the lock of migrations."""
    nowhere = {name: "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere"}
    with pytest.raises(ServiceError, match="The database cannot be reached: ") as raised:
        migrate(settings.model_copy(update=nowhere))
    assert "\n" not in str(raised.value)
