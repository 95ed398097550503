"""Projects, databases and running subjects, made on first use and removed at the end."""

import tomllib
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks import postgresql
from benchmarks.subjects import (
    HERE,
    KEY,
    Subject,
    add_slice,
    migrate,
    peer,
    rendered,
    settings,
    started,
)
from tests.postgresql import execute
from tests.projects import run, snapshot

LIFECYCLES = ("depends", "clean-ioc", "dishka")
PACKAGES = (
    *("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "sqlalchemy"),
    *("asyncpg", "aiosqlite", "clean-ioc", "dishka", "pyjwt"),
)
"""Whose versions matter to what is measured."""

_USERS = """
INSERT INTO users (id, email, password_hash, full_name, is_admin, token_version, created_at)
SELECT gen_random_uuid(), number || '@example.com', 'none', 'Ada Lovelace', true, 0,
       '2026-01-01T00:00:00Z'
FROM generate_series(1, {number}) AS number
"""
_TOKEN = """
import sys, uuid
from app.auth.tokens import AccessTokens
from app.settings import Settings
print(AccessTokens(Settings()).issue(uuid.UUID(sys.argv[1])))
"""


class Lab:
    """Where everything is measured; `stack` ends what was started."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root
        self.stack = stack
        self.template = snapshot(root / "template")
        self.server_url = stack.enter_context(postgresql.running(root / "postgresql"))
        self._projects: dict[str, Path] = {}

    def project(self, lifecycle: str, **answers: str) -> Path:
        """Return a rendered project with the slice for measurements in it."""
        name = "-".join([lifecycle, *(f"{key}-{value}" for key, value in answers.items())])
        if name not in self._projects:
            self._projects[name] = self.as_rendered(name, lifecycle=lifecycle, **answers)
            add_slice(self._projects[name], lifecycle)
        return self._projects[name]

    def as_rendered(self, name: str, **answers: Any) -> Path:
        """Return a rendered project as it is."""
        print(f"  rendering {name}", flush=True)
        return rendered(self.template, self.root / name, **answers)

    def versions(self) -> dict[str, str]:
        """Return those of the template, of PostgreSQL, and of what the projects have installed."""
        installed = {
            each.name.lower().replace("_", "-"): each.version
            for project in self._projects.values()
            for each in distributions(
                path=[str(each) for each in project.glob(".venv/lib/*/site-packages")]
            )
        }
        template = tomllib.loads((self.template / "pyproject.toml").read_text())
        return {
            "template": template["project"]["version"],
            "PostgreSQL": postgresql.fetch(self.server_url, "SHOW server_version"),
            "packages": ", ".join(
                f"{name} {installed[name]}" for name in PACKAGES if name in installed
            ),
        }

    def database(self, name: str, users: int) -> str:
        """Return the URL of a PostgreSQL database with some users, all of them admins."""
        url = postgresql.new_database(self.server_url, name)
        migrate(self.project("depends", database="postgresql"), url)
        execute(url, _USERS.format(number=users))
        execute(url, "VACUUM ANALYZE users")
        return url

    def token(self, project: Path, url: str, user_id: UUID) -> str:
        """Return an access token of a user's, which all subjects on that database take."""
        command = ("uv", "run", "python", "-c", _TOKEN, str(user_id))
        return run(project, *command, settings=settings(url)).strip()

    def starting(
        self, name: str, project: Path, script: str, *arguments: str | Path, **more: str
    ) -> AbstractContextManager[Subject]:
        """Run a script of `serving/` in a project's environment, with settings as variables."""
        command = (HERE / "serving" / f"{script}.py", *arguments, "PORT")
        return started(name, project, *command, settings={"SECRET_KEY": KEY, **more})

    def start(
        self, name: str, project: Path, script: str, *arguments: str | Path, **more: str
    ) -> Subject:
        """Do the same until the end."""
        return self.stack.enter_context(self.starting(name, project, script, *arguments, **more))

    def start_peer(self) -> Subject:
        """Start the peer as its own command does."""
        print("  rendering the peer", flush=True)
        project, own = peer(self.root, self.server_url)
        starting = started("peer", project, "-m", "peer_app", settings=own, live="/api/health")
        return self.stack.enter_context(starting)


def a_user(url: str) -> UUID:
    """Return the id of the user in the middle of a PostgreSQL database."""
    found: UUID = postgresql.fetch(
        url, "SELECT id FROM users ORDER BY id OFFSET (SELECT count(*) / 2 FROM users) LIMIT 1"
    )
    return found
