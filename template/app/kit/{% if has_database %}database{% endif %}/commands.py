"""Commands for migrations."""

from app.kit.database import migrations
from app.kit.service import Service


def migrate(service: Service) -> None:
    migrations.migrate(service.read_settings())


def downgrade(service: Service, revision: str) -> None:
    migrations.downgrade(service.read_settings(), revision)


def revision(service: Service, message: str) -> str:
    path = migrations.revise(service.read_settings(), message)
    if path is None:
        return (
            "Nothing has changed: the database is as your models describe it, so no revision was "
            "written. Is the slice of a new model imported by app/slices.py?"
        )
    return f"Read {path}, then run `python -m app migrate`."


def merge_revisions(service: Service) -> str:
    path = migrations.merge(service.read_settings())
    if path is None:
        return "There is one newest revision: nothing to merge."
    return f"Wrote {path}; run `python -m app migrate`."
