"""Brings a test database to the models where a revision is missing.

A forgotten revision then fails one test, which names the remedy, instead of all.
"""

import asyncio

from alembic.autogenerate import produce_migrations
from alembic.operations import Operations
from alembic.operations.ops import ModifyTableOps
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Enum

from app.kit.database import Base
from app.kit.database.dialect import create_migration_engine
from app.kit.settings import KitSettings
from app.slices import SLICES

assert SLICES  # imports every model


def add_what_no_revision_has(settings: KitSettings) -> None:
    """Apply the differences between the models and the database."""

    async def apply() -> None:
        engine = create_migration_engine(settings)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_apply)
        finally:
            await engine.dispose()

    asyncio.run(apply())


def _apply(connection: Connection) -> None:
    tables = Base.metadata.tables
    for column in (column for table in tables.values() for column in table.columns):
        if isinstance(column.type, Enum):
            column.type.create(connection, checkfirst=True)
    Base.metadata.create_all(connection)
    known = {"include_name": lambda name, kind, _: kind != "table" or name in tables}
    context = MigrationContext.configure(connection, opts=known)
    upgrade = produce_migrations(context, Base.metadata).upgrade_ops
    assert upgrade is not None
    for operation in upgrade.ops:
        assert isinstance(operation, ModifyTableOps)
        with Operations(context).batch_alter_table(operation.table_name) as batch:
            for change in operation.ops:
                batch.invoke(change)
