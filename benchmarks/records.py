"""What was measured, as it is kept in the JSON file: each record has a value for each round."""

import json
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class Figure:
    """A median, with the middle half of what it is the median of."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True, slots=True)
class Record:
    """One subject at one work; `measures` has the values of each round: cpu, wall, p50, p99, ..."""

    part: str
    work: str
    subject: str
    measures: dict[str, list[float]]
    connections: int = 0


class Records:
    """All records of a run, in which all figures are looked up."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.all = list(records)

    def find(self, part: str, work: str, subject: str, connections: int = 0) -> Record | None:
        """Return the record; None if that was not measured."""
        for record in self.all:
            own = (record.part, record.work, record.subject, record.connections)
            if own == (part, work, subject, connections):
                return record
        return None

    def ratio(self, measure: str, over: tuple[Any, ...], under: tuple[Any, ...]) -> Figure | None:
        """Return the ratio of two records for each round, or None if one is missing."""
        above, below = self.find(*over), self.find(*under)
        if above is None or below is None or measure not in below.measures:
            return None
        values = zip(above.measures[measure], below.measures[measure], strict=True)
        return Figure.of([a / b for a, b in values])


def header(rounds: int, seconds: float) -> dict[str, str]:
    """Return what has to be known of the run and of the machine."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {_processor()},"
        f" {psutil.cpu_count()} cores",
        "rounds": f"{rounds} of {seconds:g} s for each subject, in turn",
        "copier": version("copier"),
    }


def _processor() -> str:
    """Return the processor's name, where the system tells it."""
    described = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", described.read_text()) if described.exists() else None
    return found[1] if found else platform.processor() or "unknown"


def write(path: Path, head: dict[str, str], records: Iterable[Record]) -> None:
    """Write a record a line."""
    lines = ",\n".join(json.dumps(asdict(record)) for record in records)
    path.write_text(f'{{"header": {json.dumps(head, indent=1)},\n"records": [\n{lines}\n]}}\n')


def read(path: Path) -> tuple[dict[str, str], Records]:
    content = json.loads(path.read_text())
    return content["header"], Records(Record(**record) for record in content["records"])
