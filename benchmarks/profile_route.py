"""What a signed-in `GET /profile` on SQLite costs, in CPU, beside the bare driver and the usual ORM.

    nox -s bench

All subjects answer in turn, A B C D A B C D ..., in one run on one interpreter; figures are medians of the ratios
within a round. No socket: the server would cost all of them the same.
"""

import argparse
import datetime
import platform
import statistics
import subprocess
import tempfile
import uuid
from pathlib import Path

import copier

from tests.projects import VERSION, environment, run, snapshot

SUBJECTS = {
    "bare": "Starlette + bare aiosqlite, the same work",
    "depends": "rendered, plain Depends",
    "clean-ioc": "rendered, container",
    "orm": "FastAPI + AsyncSession + session.get, as usually written",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=300)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        template = snapshot(root / "template")
        projects = {}
        for lifecycle in ("depends", "clean-ioc"):
            project = projects[lifecycle] = root / lifecycle
            answers = {"lifecycle": lifecycle}
            copier.run_copy(
                str(template), project, data=answers, defaults=True, quiet=True, vcs_ref=VERSION
            )
            run(project, "uv", "sync", "--quiet")
        database = root / "data" / "app.db"
        settings = {"SECRET_KEY": "x" * 32, "DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
        run(projects["depends"], "uv", "run", "python", "-m", "app", "migrate", settings=settings)
        add_user(projects["depends"], database)
        python = str(projects["depends"] / ".venv/bin/python")
        shapes = run(
            projects["depends"],
            *(python, str(Path(__file__).with_name("shapes.py")), str(database)),
            settings=settings,
        )
        print(f"{'shapes of data access':58} {'us of CPU':>10} {'x bare':>8}\n{shapes}")

        script = Path(__file__).with_name("subject.py")
        processes = {}
        for name in SUBJECTS:
            project = projects.get(name, projects["depends"])
            processes[name] = subprocess.Popen(
                [project / ".venv/bin/python", script, name, database],
                cwd=project,
                env=environment(SECRET_KEY="x" * 32),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )

        def measure(name: str, requests: int) -> float:
            process = processes[name]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{requests}\n")
            process.stdin.flush()
            return float(process.stdout.readline()) / requests * 1e6

        for name in SUBJECTS:
            measure(name, 100)
        times: dict[str, list[float]] = {name: [] for name in SUBJECTS}
        for _ in range(arguments.rounds):
            for name in SUBJECTS:
                times[name].append(measure(name, arguments.requests))
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)

    print(f"Python {platform.python_version()}, {platform.machine()}, {arguments.rounds} rounds")
    print(f"{'':58} {'us of CPU':>10} {'x bare':>8} {'spread':>14}")
    for name, what in SUBJECTS.items():
        ratios = [own / bare for own, bare in zip(times[name], times["bare"], strict=True)]
        low, *_, high = statistics.quantiles(ratios, n=4)
        print(
            f"{what:58} {statistics.median(times[name]):10.0f} {statistics.median(ratios):8.2f}"
            f" {low:6.2f} - {high:.2f}"
        )


def add_user(project: Path, database: Path) -> None:
    """Write one user among a thousand."""
    code = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as c:
    for id in sys.argv[3:]:
        c.execute("INSERT INTO users (id, email, password_hash, full_name, is_admin, created_at)"
                  " VALUES (?, ?, 'hash', 'Ada', 0, ?)", (id, id + "@example.com", sys.argv[2]))
"""
    ids = [uuid.uuid4() for _ in range(1000)]
    now = datetime.datetime(2026, 1, 1).isoformat(" ") + ".000000"  # noqa: DTZ001
    run(project, "uv", "run", "python", "-c", code, str(database), now, *(i.hex for i in ids))
    (database.parent / "user").write_text(str(ids[500]))


if __name__ == "__main__":
    main()
