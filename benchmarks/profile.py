"""Where the CPU of a request goes, by layer: what the ratios are made of."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import works
from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.measure import Effort, load
from benchmarks.records import Record
from benchmarks.subjects import HERE, Subject, settings
from benchmarks.works import Work


def layers(lab: Lab, effort: Effort) -> Iterator[Record]:
    """Microseconds of a request in each layer, as samples of the stacks share out its CPU."""
    url = lab.database("profile", users=1000)
    projects = {name: lab.project(name, database="postgresql") for name in LIFECYCLES}
    token = lab.token(projects["depends"], url, a_user(url))
    subjects = (
        ("limit", projects["depends"], "limit"),
        *((name, project, "rendered") for name, project in projects.items()),
        ("usual", projects["depends"], "usual"),
    )
    for name, project, script in subjects:
        counts = lab.root / f"{name}.counts"
        arguments = (HERE / "serving" / f"{script}.py", counts)
        with lab.starting(name, project, "sampled", *arguments, **settings(url)) as subject:
            for work in (works.PROFILE, works.PAGE, works.REGISTER):
                print(f"  profile: {name}, {work.name}", flush=True)
                measures = _sampled(subject, work, token, counts, 3 * effort.seconds)
                yield Record("profile", work.name, name, measures, 32)


def _sampled(
    subject: Subject, work: Work, token: str, counts: Path, seconds: float
) -> dict[str, list[float]]:
    runner = work.runner(subject, token)
    load(runner, 32, 0.3)  # warm
    subject.process.send_signal(signal.SIGUSR2)
    cpu = load(runner, 32, seconds)["cpu"]
    subject.process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not counts.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{subject.name} wrote no samples")
        time.sleep(0.05)
    found: dict[str, int] = json.loads(counts.read_text())
    counts.unlink()
    total = sum(found.values())
    return {layer: [cpu * number / total] for layer, number in found.items()}
