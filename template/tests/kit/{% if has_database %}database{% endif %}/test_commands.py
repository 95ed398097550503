"""`python -m app migrate`."""

from dataclasses import replace

from alembic import command

from app.__main__ import SERVICE
from app.kit.commands import CommandLine
from app.kit.database.migrations import alembic_config
from app.settings import Settings


def test_migrate_applies_every_revision(empty_settings: Settings) -> None:
    command_line = CommandLine(replace(SERVICE, read_settings=lambda: empty_settings), [])
    command_line.run(["migrate"])
    command.check(alembic_config(empty_settings))
