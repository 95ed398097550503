"""The subjects, each in its own process: the limit, rendered services, the usual way, a peer."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from benchmarks import postgresql
from tests.projects import IDENTITY, environment, render, run
from tests.servers import free_port

HERE = Path(__file__).parent
KEY = "a key for benchmarks that guards nothing"
_SLICE = "Slice(router=app.bench.routes.router, dependencies=app.bench.dependencies)"
PEER = "fastapi-template==6.1.2"
"""https://github.com/s3rius/FastAPI-template; it wants Python 3.12."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A running server."""

    name: str
    url: str
    process: psutil.Process

    def cpu(self) -> float:
        """Return the CPU seconds that it has used, in user and system mode."""
        if sys.platform == "linux":  # by clock_getcpuclockid(3): psutil has ticks of 10 ms
            return time.clock_gettime(~self.process.pid << 3 | 2)
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def memory(self) -> int:
        """Return the bytes that are resident."""
        return int(self.process.memory_info().rss)


def rendered(template: Path, folder: Path, **answers: Any) -> Path:
    """Return a rendered project in an environment of its own."""
    render(template, folder, **answers)
    run(folder, "uv", "sync", "--quiet")
    return folder


def add_slice(folder: Path, lifecycle: str) -> None:
    """Put the slice for measurements into a rendered project."""
    own = folder / "app/bench"
    own.mkdir()
    for name in ("__init__", "classes", "routes"):
        shutil.copy(HERE / "slice" / f"{name}.py", own)
    wiring = f"{lifecycle.replace('-', '_')}.py"
    shutil.copy(HERE / "slice" / wiring, own / "dependencies.py")
    slices = folder / "app/slices.py"
    source = slices.read_text()
    for yours, line in (
        ("\n# Yours:\n", "import app.bench.dependencies\nimport app.bench.routes\n"),
        ("    # Yours:\n", f"    {_SLICE},\n"),
    ):
        assert source.count(yours) == 1, source
        source = source.replace(yours, yours + line)
    slices.write_text(source)


def migrate(project: Path, url: str) -> None:
    """Bring a database to the newest revision."""
    settings = {"DATABASE_URL": url, "SECRET_KEY": KEY}
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)


@contextmanager
def started(
    name: str,
    project: Path,
    *command: str | Path,
    settings: Mapping[str, str],
    live: str = "/livez",
) -> Iterator[Subject]:
    """Yield a subject that answers: `command PORT`, run in the environment of a project."""
    port = free_port()
    python = project / ".venv/bin/python"
    with (project / f"{name}-{port}.log").open("wb") as log:
        process = psutil.Popen(
            [python, *(str(port) if part == "PORT" else part for part in command)],
            cwd=project,
            env=environment(**{**settings, "PEER_APP_PORT": str(port)}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    subject = Subject(name, f"http://127.0.0.1:{port}", process)
    try:
        _wait(subject, live, Path(log.name))
        yield subject
    finally:
        process.terminate()
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(subject: Subject, path: str, log: Path) -> None:
    """Return as soon as `path` answers. Raises RuntimeError with the log if it does not."""
    deadline = time.monotonic() + 60
    with httpx2.Client(timeout=2) as client:
        while time.monotonic() < deadline and subject.process.is_running():
            try:
                if client.get(subject.url + path).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.005)
    raise RuntimeError(f"{subject.name} does not answer:\n{log.read_text()[-3000:]}")


def settings(database_url: str) -> dict[str, str]:
    """Return the settings of the subjects that share a database."""
    return {
        "SECRET_KEY": KEY,
        "SERVICE_SLUG": "app",  # the issuer of the tokens, which all subjects take
        "DATABASE_URL": database_url,
        "ACCESS_TOKEN_MINUTES": "60",
        # One client registers all the users here.
        "SIGN_IN_LIMIT_PER_ACCOUNT": "1000000000",
        "SIGN_IN_LIMIT_PER_IP": "1000000000",
    }


def peer(folder: Path, server_url: str) -> tuple[Path, dict[str, str]]:
    """Render the peer with users and a log line per request; return it and its settings."""
    features = ("migrations", "dummy", "routers", "add_users", "jwt-auth", "cookie-auth", "loguru")
    run(
        folder,
        *("uvx", "--quiet", "--from", PEER, "fastapi_template", "--quiet", "--name", "peer_app"),
        *("--api-type", "rest", "--db", "postgresql", "--orm", "sqlalchemy", "--ci", "none"),
        *(f"--{feature}" for feature in features),
        settings=IDENTITY,  # it commits
    )
    project = folder / "peer_app"
    database = httpx2.URL(postgresql.new_database(server_url, "peer_app"))
    own = {
        "PEER_APP_RELOAD": "False",
        "PEER_APP_DB_HOST": str(database.host),
        "PEER_APP_DB_PORT": str(database.port),
        "PEER_APP_DB_USER": "postgres",
        "USERS_SECRET": KEY,
    }
    run(project, ".venv/bin/alembic", "upgrade", "head", settings=own)
    return project, own


def has_peer() -> bool:
    return sys.version_info >= (3, 12) and os.name == "posix"
