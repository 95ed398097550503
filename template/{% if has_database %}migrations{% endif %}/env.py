"""Alembic's entry: the `alembic` command and `app.database.migrations` both run this."""

import asyncio
from typing import Literal

from alembic import context
from sqlalchemy import Connection

from app.database import UtcDateTime, metadata
from app.database.engines import create_migration_engine
from app.settings import Settings
from app.slices import slice_modules

slice_modules("dependencies")  # every table of every slice is known from here on


def _render_item(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write the type that the database knows: a revision must not change with the code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        render_item=_render_item,
    )
    context.run_migrations()


async def _main(settings: Settings) -> None:
    engine = create_migration_engine(settings)
    try:
        async with engine.begin() as connection:  # one transaction: all of it or nothing
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_main(context.config.attributes.get("settings") or Settings()))
