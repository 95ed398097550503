"""Measures, and writes the tables, the JSON file and the plot: `nox -s bench`."""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import growth, profile, requests, sockets, starting
from benchmarks.lab import Lab
from benchmarks.measure import Effort
from benchmarks.records import Record, header, read, write
from benchmarks.report import RESULTS, write_report

PARTS = {
    "postgresql": requests.on_postgresql,
    "profile": profile.layers,
    "sqlite": requests.on_sqlite,
    "shell": requests.without_database,
    "cache": requests.from_cache,
    "broadcast": sockets.broadcast,
    "sockets": sockets.growth,
    "routes": growth.routes,
    "dependencies": growth.dependencies,
    "rows": growth.rows,
    "starts": starting.starts,
    "memory": starting.memory,
    "copier": starting.copies,
    "suites": starting.suites,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds, in ten minutes")
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        help="measure only this one again, beside the other figures of OUTPUT (repeatable)",
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="(default: %(default)s)")
    arguments = parser.parse_args()
    effort = Effort(3, 0.3) if arguments.quick else Effort(15, 0.5)
    arguments.output.mkdir(parents=True, exist_ok=True)

    head: dict[str, str] = {}
    records: list[Record] = []
    if arguments.part and (arguments.output / "results.json").exists():
        head, kept = read(arguments.output / "results.json")
        records = kept.all
    again = bool(records)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        lab = Lab(Path(temporary).resolve(), stack)
        for name in arguments.part or PARTS:
            begun = time.monotonic()
            print(name, flush=True)
            with ExitStack() as of_part:
                lab.stack = of_part  # what a part has started does not run beside the next one
                found = list(PARTS[name](lab, effort))
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
            parts = {each.part for each in found}
            records = [each for each in records if each.part not in parts] + found
            # Here, so that a part that fails takes nothing of the others along.
            own = header(effort.rounds, effort.seconds) | lab.versions()
            if again:
                head[f"{name}, again"] = f"{own['rounds']}, template {own['template']}"
            else:
                head = own
            write(arguments.output / "results.json", head, records)
            write_report(arguments.output)
    print((arguments.output / "README.md").read_text())


if __name__ == "__main__":
    main()
