"""Requests over a socket: on PostgreSQL, on SQLite, without a database, and from the cache."""

import datetime
import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import works
from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.load import WrongAnswer
from benchmarks.measure import Effort, loaded
from benchmarks.records import Record
from benchmarks.subjects import HERE, Subject, has_peer, migrate, settings
from benchmarks.works import Work
from tests.postgresql import execute
from tests.projects import run

CONNECTIONS = (1, 32)


def on_postgresql(lab: Lab, effort: Effort) -> Iterator[Record]:
    """The limit, the lifecycles, the usual way and a peer on one server."""
    url = lab.database("main", users=1000)
    projects = {name: lab.project(name, database="postgresql") for name in LIFECYCLES}
    token = lab.token(projects["depends"], url, a_user(url))
    own = settings(url)
    subjects = [
        lab.start("limit", projects["depends"], "limit", **own),
        *(lab.start(name, project, "rendered", **own) for name, project in projects.items()),
        lab.start("usual", projects["depends"], "usual", **own),
    ]
    same = (works.LIVEZ, works.PROFILE, works.PAGE, works.NOT_FOUND, works.NOT_VALID)
    every = [*same, works.STREAM, works.REGISTER]  # the last one makes the table longer
    check(subjects[:3], [work for work in every if work.same_bytes], token)
    runners = {
        work: {subject.name: work.runner(subject, token) for subject in subjects} for work in every
    }
    if has_peer():
        for work, runner in works.of_peer(lab.start_peer()):
            runners[work]["peer"] = runner
    else:
        print("  no peer: it wants Python 3.12")
    for work in every:
        for connections in CONNECTIONS:
            yield from loaded("postgresql", work.name, runners[work], effort, connections)
        execute(url, "DELETE FROM users WHERE password_hash <> 'none'")


def on_sqlite(lab: Lab, effort: Effort) -> Iterator[Record]:
    """Both lifecycles and the usual way on one file."""
    yield from shapes(lab, effort)
    projects = {name: lab.project(name, database="sqlite") for name in LIFECYCLES}
    database, user_id = _new_database(lab, "services")
    own = settings(_url(database))
    token = lab.token(projects["depends"], _url(database), user_id)
    subjects = [lab.start(name, project, "rendered", **own) for name, project in projects.items()]
    subjects.append(lab.start("usual", projects["depends"], "usual", **own))
    for work in (works.PROFILE, works.REGISTER):
        runners = {subject.name: work.runner(subject, token) for subject in subjects}
        for connections in CONNECTIONS:
            yield from loaded("sqlite", work.name, runners, effort, connections)


def shapes(lab: Lab, effort: Effort) -> Iterator[Record]:
    """The shapes that data access could have, in one process."""
    project = lab.project("depends", database="sqlite")
    database, user_id = _new_database(lab, "shapes")
    arguments = (HERE / "serving/shapes.py", database, user_id, effort.rounds)
    command = map(str, (project / ".venv/bin/python", *arguments))
    printed = run(project, *command, settings=settings(_url(database)))
    for work, subject, measures in json.loads(printed):
        yield Record("shapes", work, subject, measures)


def without_database(lab: Lab, effort: Effort) -> Iterator[Record]:
    """The whole shell beside one bare route."""
    projects = {name: lab.project(name, database="none") for name in LIFECYCLES}
    subjects = [
        lab.start("bare", projects["depends"], "bare"),
        *(lab.start(name, project, "rendered") for name, project in projects.items()),
    ]
    for work in (works.LIVEZ, works.SCOPED):
        runners = {subject.name: work.runner(subject, "") for subject in subjects}
        yield from loaded("shell", work.name, runners, effort)
    url = lab.database("clients", users=1)
    usual = lab.start(
        "usual", lab.project("depends", database="postgresql"), "usual", **settings(url)
    )
    runners = {each.name: works.CLIENT.runner(each, "") for each in (*subjects[1:], usual)}
    yield from loaded("clients", works.CLIENT.name, runners, effort)


def from_cache(lab: Lab, effort: Effort) -> Iterator[Record]:
    """A route that costs a millisecond: computed, kept, not modified."""
    for name in LIFECYCLES:
        project = lab.project(name, database="none", cache="memory")
        subject = lab.start(f"{name}-cache", project, "rendered")
        cached = (works.COMPUTED, works.KEPT, works.NOT_MODIFIED)
        runners = {work.name: work.runner(subject, "") for work in cached}
        yield from loaded("cache", name, runners, effort)


def check(subjects: Sequence[Subject], same: Sequence[Work], token: str) -> None:
    """Raise WrongAnswer unless all subjects answer with the same bytes."""
    for work in same:
        answers = {subject.name: work.answer(subject, token) for subject in subjects}
        if len(set(answers.values())) > 1:
            raise WrongAnswer(f"{work.name}: {answers}")


def _new_database(lab: Lab, name: str) -> tuple[Path, uuid.UUID]:
    """Return an SQLite file with 1,000 users, and the id of one."""
    database = lab.root / f"data/{name}.db"
    migrate(lab.project("depends", database="sqlite"), _url(database))
    return database, _add_users(database, 1000)


def _url(database: Path) -> str:
    return f"sqlite+aiosqlite:///{database}"


def _add_users(database: Path, number: int) -> uuid.UUID:
    """Add users to an SQLite file; return the id of one."""
    ids = [uuid.uuid4() for _ in range(number)]
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    rows = [(each.hex, f"{each}@example.com", now) for each in ids]
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO users"
            " (id, email, password_hash, full_name, is_admin, token_version, created_at)"
            " VALUES (?, ?, 'none', 'Ada Lovelace', 1, 0, ?)",
            rows,
        )
    connection.close()
    return ids[number // 2]
