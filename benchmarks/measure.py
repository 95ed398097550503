"""Rounds: all subjects in turn, A B C A B C ..., so other load of the machine meets each."""

import statistics
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from benchmarks.load import Load, RequestMaker, drive
from benchmarks.records import Record
from benchmarks.subjects import Subject

Measures = dict[str, list[float]]
Sampler = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is measured: rounds, and seconds of each subject in a round."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Runner:
    """How a subject is asked for some work."""

    subject: Subject
    make_request: RequestMaker
    status: int


def interleaved(samplers: Mapping[str, Sampler], rounds: int) -> dict[str, Measures]:
    """Return what each sampler measured, a value for each round."""
    found: dict[str, Measures] = {name: {} for name in samplers}
    for _ in range(rounds):
        for name, sample in samplers.items():
            for measure, value in sample().items():
                found[name].setdefault(measure, []).append(value)
    return found


def loaded(
    part: str, work: str, runners: Mapping[str, Runner], effort: Effort, connections: int = 32
) -> Iterator[Record]:
    """Yield a request's CPU and wall time and percentiles, in microseconds. Raise WrongAnswer."""
    print(f"  {part}: {work}, {connections} connections", flush=True)
    for runner in runners.values():
        uvloop.run(_driven(runner, connections, min(effort.seconds, 0.3)))  # warm
    samplers = {
        name: partial(load, runner, connections, effort.seconds) for name, runner in runners.items()
    }
    for name, measures in interleaved(samplers, effort.rounds).items():
        yield Record(part, work, name, measures, connections)


def _driven(runner: Runner, connections: int, seconds: float) -> Coroutine[Any, Any, Load]:
    return drive(runner.subject.url, runner.make_request, runner.status, connections, seconds)


def load(runner: Runner, connections: int, seconds: float) -> dict[str, float]:
    """Return requests per CPU-second; in microseconds, one's CPU and wall time, and percentiles."""
    before = runner.subject.cpu()
    done = uvloop.run(_driven(runner, connections, seconds))
    if len(done.latencies) < 2:  # on a slow machine, every connection has been served once
        return load(runner, connections, 2 * seconds)
    cpu = runner.subject.cpu() - before
    cuts = statistics.quantiles(done.latencies, n=100, method="inclusive")
    return {
        "rate": done.requests / cpu,
        "cpu": cpu / done.requests * 1e6,
        "wall": done.seconds / done.requests * 1e6,
        "p50": cuts[49] * 1e6,
        "p99": cuts[98] * 1e6,
    }


def drive_number(runner: Runner, number: int) -> None:
    """Send a number of requests over 8 connections."""
    sent = 0
    while sent < number:
        loading = drive(runner.subject.url, runner.make_request, runner.status, 8, 0.2)
        sent += uvloop.run(loading).requests
