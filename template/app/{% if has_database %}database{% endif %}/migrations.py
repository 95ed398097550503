"""Runs Alembic as `pyproject.toml` configures it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.settings import Settings

_ROOT = Path(__file__).parents[2]


def alembic_config(settings: Settings) -> Config:
    """Return the configuration for the database of `settings`."""
    return Config(toml_file=_ROOT / "pyproject.toml", attributes={"settings": settings})


def migrate(settings: Settings) -> None:
    """Upgrade to the newest revision of every branch. Safe when several processes start it at once."""
    command.upgrade(alembic_config(settings), "heads")


def revise(settings: Settings, message: str) -> None:
    """Write a revision with what differs between the tables in the code and the database.

    It stands on a branch of your own, `app`, behind the template's revisions that it finds: those stay as they are.
    """
    config = alembic_config(settings)
    heads = ScriptDirectory.from_config(config).get_revisions("heads")
    of_template = [each.revision for each in heads if each and "app" not in each.branch_labels]
    is_first = len(of_template) == len(heads)
    command.revision(
        config,
        message,
        autogenerate=True,
        head="base" if is_first else "app@head",
        branch_label="app" if is_first else None,
        depends_on=of_template,  # type: ignore[arg-type]  # (it takes a list)
        version_path=str(_ROOT / "migrations/versions"),
    )
