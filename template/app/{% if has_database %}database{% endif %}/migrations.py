"""Runs Alembic as `pyproject.toml` configures it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from app.settings import Settings

_ROOT = Path(__file__).parents[2]


def alembic_config(settings: Settings) -> Config:
    """Return the configuration for the database of `settings`."""
    return Config(toml_file=_ROOT / "pyproject.toml", attributes={"settings": settings})


def migrate(settings: Settings) -> None:
    """Upgrade to the newest revision of every branch. Safe when several processes start it at once.

    Raises ValueError if the database is at a revision that is not in `migrations/`.
    """
    try:
        command.upgrade(alembic_config(settings), "heads")
    except CommandError as error:
        raise ValueError(f"{error}: bring it down with the code that still has it") from error


def revise(settings: Settings, message: str) -> None:
    """Write a revision with what differs between the tables in the code and the database.

    It stands on a branch of your own, `app`, behind the template's `users`, which stay as they are.
    """
    config = alembic_config(settings)
    heads = ScriptDirectory.from_config(config).get_revisions("heads")
    labels = {label: each.revision for each in heads if each for label in each.branch_labels}
    is_first = "app" not in labels
    command.revision(
        config,
        message,
        autogenerate=True,
        head="base" if is_first else "app@head",
        branch_label="app" if is_first else None,
        depends_on=labels.get("users"),
        version_path=str(_ROOT / "migrations/versions"),
    )
