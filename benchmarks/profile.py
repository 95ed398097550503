"""Where the CPU of a request goes, by layer: what the ratios are made of."""

import json
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import works
from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.measure import Effort, Runner, Sampler, interleaved, load
from benchmarks.records import Record
from benchmarks.subjects import HERE, settings


def layers(lab: Lab, effort: Effort) -> Iterator[Record]:
    """Microseconds of a request in each layer, as samples of the stacks share out its CPU."""
    url = lab.database("profile", users=1000)
    projects = {name: lab.project(name, database="postgresql") for name in LIFECYCLES}
    token = lab.token(projects["depends"], url, a_user(url))
    subjects = []
    for name, project, script in (
        ("limit", projects["depends"], "limit"),
        *((name, project, "rendered") for name, project in projects.items()),
        ("usual", projects["depends"], "usual"),
    ):
        arguments = (HERE / "serving" / f"{script}.py", _counts(lab, name))
        subjects.append(lab.start(name, project, "sampled", *arguments, **settings(url)))
    for work in (works.PROFILE, works.PAGE, works.REGISTER):
        print(f"  profile: {work.name}", flush=True)
        samplers: dict[str, Sampler] = {}
        for subject in subjects:
            runner = work.runner(subject, token)
            load(runner, 32, 0.3)  # warm
            samplers[subject.name] = partial(
                _sample, runner, _counts(lab, subject.name), effort.seconds
            )
        for name, measures in interleaved(samplers, effort.rounds).items():
            yield Record("profile", work.name, name, measures, 32)


def _counts(lab: Lab, name: str) -> Path:
    return lab.root / f"{name}.counts"


def _sample(runner: Runner, counts: Path, seconds: float) -> dict[str, float]:
    process = runner.subject.process
    process.send_signal(signal.SIGUSR2)
    cpu = load(runner, 32, seconds)["cpu"]
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not counts.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{runner.subject.name} wrote no samples")
        time.sleep(0.01)
    found: dict[str, int] = json.loads(counts.read_text())
    counts.unlink()
    total = sum(found.values())
    return {layer: cpu * number / total for layer, number in found.items()}
