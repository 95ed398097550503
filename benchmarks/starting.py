"""What does not come with every request: start, memory, the rendered suite, Copier itself."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.load import request
from benchmarks.measure import Effort, Runner, Sampler, drive_number, interleaved
from benchmarks.records import Record
from benchmarks.subjects import KEY, settings, started
from tests.projects import VERSION, environment, git

LIBRARIES = "import fastapi, sqlalchemy.ext.asyncio"
SUITES: dict[str, dict[str, Any]] = {
    "no database": {"database": "none"},
    "SQLite": {"database": "sqlite"},
    "PostgreSQL": {"database": "postgresql"},
    "PostgreSQL, and Redis for all else": {
        "database": "postgresql",
        **dict.fromkeys(("cache", "websockets", "jobs"), "redis"),
        "examples": True,
    },
}


def starts(lab: Lab, effort: Effort) -> Iterator[Record]:
    """Importing the libraries alone, and from nothing to the first answer."""
    url = lab.database("starts", users=1)
    projects = {name: lab.project(name, database="postgresql") for name in LIFECYCLES}
    python = str(projects["depends"] / ".venv/bin/python")

    def answer(project: Path) -> dict[str, float]:
        begun = time.perf_counter()
        command = ("-m", "app", "serve", "--port", "PORT")
        with started("start", project, *command, settings=settings(url)) as subject:
            return {"wall": time.perf_counter() - begun, "cpu": subject.cpu()}

    samplers = {
        "libraries": partial(_command, projects["depends"], python, "-c", LIBRARIES),
        "imports": partial(_command, projects["depends"], python, "-c", "import app.main", url=url),
        **{name: partial(answer, project) for name, project in projects.items()},
    }
    for name, measures in interleaved(samplers, effort.rounds).items():
        yield Record("starts", "start", name, measures)


def memory(lab: Lab, effort: Effort) -> Iterator[Record]:
    """Resident bytes after 1,000 requests, and after 10,000 more."""
    url = lab.database("memory", users=1000)
    for name in LIFECYCLES:
        project = lab.project(name, database="postgresql")
        token = lab.token(project, url, a_user(url))
        found: dict[str, list[float]] = {"after 1,000 requests": [], "after 11,000": []}
        for _ in range(max(1, effort.rounds // 5)):
            with lab.starting("memory", project, "rendered", **settings(url)) as subject:
                headers = {"Authorization": f"Bearer {token}"}
                written = request(subject.url, "/profile", headers=headers)
                runner = Runner(subject, partial(bytes, written), 200)
                for number, values in zip((1000, 10_000), found.values(), strict=True):
                    drive_number(runner, number)
                    values.append(float(subject.memory()))
        for when, values in found.items():
            yield Record("memory", name, when, {"memory": values})


def suites(lab: Lab, effort: Effort) -> Iterator[Record]:
    """The suite of a project in two processes: the smallest, one with a database, the largest."""
    for work, answers in SUITES.items():
        if "jobs" in answers and effort.rounds < 5:
            continue  # minutes: not in a quick run
        samplers: dict[str, Sampler] = {}
        for lifecycle in LIFECYCLES:
            name = f"suite of {lifecycle}, {work}"
            project = lab.as_rendered(name, lifecycle=lifecycle, **answers)
            command = ("uv", "run", "pytest", "-q", "-n", "2")
            _command(project, *command)  # warm: compiled modules, and the server's files
            samplers[lifecycle] = partial(_command, project, *command)
        for name, measures in interleaved(samplers, max(1, effort.rounds // 5)).items():
            yield Record("suites", work, name, measures)


def copies(lab: Lab, effort: Effort) -> Iterator[Record]:
    """`copier copy` and `copier update` from the command line, with the shares of start and git."""
    project = lab.root / "updated"
    copied = iter(range(1_000_000))
    options = ("--defaults", "--quiet", "--vcs-ref", VERSION)
    _command(lab.root, "copier", "copy", *options, str(lab.template), str(project))
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "As rendered")

    def copy() -> dict[str, float]:
        folder = lab.root / f"copied-{next(copied)}"
        return _traced(lab.root, ("copier", "copy", *options, str(lab.template), str(folder)))

    def update() -> dict[str, float]:
        return _traced(
            project, ("copier", "update", "--defaults", "--quiet", "--vcs-ref=:current:")
        )

    samplers: dict[str, Sampler] = {
        "start": partial(_command, lab.root, "copier", "--version"),
        "copy": copy,
        "update": update,
    }
    for name, measures in interleaved(samplers, effort.rounds).items():
        yield Record("copier", "command line", name, measures)


def _command(folder: Path, *command: str, url: str = "") -> dict[str, float]:
    """Run a command; return its wall time and the CPU time of all its processes, in seconds."""
    own = environment(SECRET_KEY=KEY, DATABASE_URL=url) if url else environment()
    before = _of_children()
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stdout + done.stderr).decode()[-3000:]}")
    return {"wall": seconds, "cpu": _of_children() - before}


def _of_children() -> float:
    used = psutil.Process().cpu_times()
    return float(used.children_user + used.children_system)


def _traced(folder: Path, command: Sequence[str]) -> dict[str, float]:
    """Return the same, with the number and the seconds of git's processes, from its own trace."""
    trace = folder.parent / "git-trace"
    trace.unlink(missing_ok=True)
    found = _command(folder, "env", f"GIT_TRACE2_EVENT={trace}", *command)
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    # A session id with a slash is a process that git itself has started.
    exits = [each for each in events if each["event"] == "exit" and "/" not in each["sid"]]
    return found | {"git": sum(each["t_abs"] for each in exits), "processes": float(len(exits))}
