"""Runs Alembic as `pyproject.toml` configures it.

The template's revisions are in `migrations/template`, on branches of their own. Yours are in
`migrations/versions`, in one line, until two people each write the next revision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from app.kit.errors import ServiceError
from app.kit.settings import KitSettings

_ROOT = Path(__file__).parents[3]


class MigrationError(ServiceError):
    """Alembic cannot do what was asked. The message names the remedy."""


def alembic_config(settings: KitSettings) -> Config:
    """Return the configuration for the database of `settings`."""
    return Config(toml_file=_ROOT / "pyproject.toml", attributes={"settings": settings})


def migrate(settings: KitSettings) -> None:
    """Upgrade to the newest revisions. Several processes may do so at once.

    Raise MigrationError if the database is at a revision that is not in `migrations/`.
    """
    with _explained():
        command.upgrade(alembic_config(settings), "heads")


def downgrade(settings: KitSettings, revision: str) -> None:
    """Downgrade to a revision. Raise MigrationError if there is no such revision."""
    with _explained():
        command.downgrade(alembic_config(settings), revision)


def revise(settings: KitSettings, message: str) -> Path | None:
    """Write a revision with the differences between the models and the database.

    Return None, with nothing written, if there are none. Raise MigrationError if the database is
    behind its revisions, or if these are not one line.
    """
    config = alembic_config(settings)
    config.attributes["skip_empty"] = True
    own = _own_heads(config)
    if len(own) > 1:
        names = " and ".join(sorted(head.revision for head in own))
        raise MigrationError(
            f"{names} are both the newest revision: run `python -m app merge-revisions` first"
        )
    users = (head.revision for head in _heads(config) if "users" in head.branch_labels)
    with _explained():
        written = command.revision(
            config,
            message,
            autogenerate=True,
            head=own[0].revision if own else "base",
            depends_on=next(users, None),
            version_path=str(_ROOT / "migrations/versions"),
        )
    return Path(written.path) if isinstance(written, Script) else None


def merge(settings: KitSettings) -> Path | None:
    """Write a revision that joins your newest ones. Return None if there is only one."""
    config = alembic_config(settings)
    own = [head.revision for head in _own_heads(config)]
    if len(own) < 2:
        return None
    with _explained():
        written = command.merge(config, own, message=f"merge {' and '.join(sorted(own))}")
    assert isinstance(written, Script)
    return Path(written.path)


def _heads(config: Config) -> list[Script]:
    scripts = ScriptDirectory.from_config(config).get_revisions("heads")
    return [head for head in scripts if head is not None]


def _own_heads(config: Config) -> list[Script]:
    versions = _ROOT / "migrations/versions"
    return [head for head in _heads(config) if Path(head.path).is_relative_to(versions)]


@contextmanager
def _explained() -> Iterator[None]:
    """Raise Alembic's errors as MigrationError, with the remedy."""
    try:
        yield
    except CommandError as error:
        text = str(error).rstrip(".")
        if "not up to date" in text:
            text = "The database is behind its revisions: run `python -m app migrate` first"
        elif "Can't locate" in text:
            text += ": check out the code that has it, and downgrade the database with that"
        raise MigrationError(text) from error
