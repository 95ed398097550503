"""Shares the bytecode of installed packages between the environments of a run.

A new environment compiles some two thousand modules when its suite starts, in four seconds of CPU.
Python imports no bytecode without its source, so an environment gets nothing that it has not
installed.
"""

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Bytecode:
    """Keeps bytecode for each version of a package; the files' names tell the Pythons apart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lend(self, project: Path) -> None:
        """Give a new environment what others have compiled."""
        for packages in _site_packages(project):
            for metadata in packages.glob("*.dist-info"):
                kept = self._folder / metadata.name
                for file in kept.rglob("*.pyc"):
                    _link(file, packages / file.relative_to(kept))

    def keep(self, project: Path) -> None:
        """Keep what an environment has compiled."""
        for packages in _site_packages(project):
            for metadata in packages.glob("*.dist-info"):
                for module in map(packages.joinpath, _modules(metadata)):
                    file = module.parent / f"__pycache__/{module.stem}.{_tag(packages)}.pyc"
                    if file.exists():
                        _link(file, self._folder / metadata.name / file.relative_to(packages))


def _site_packages(project: Path) -> Iterator[Path]:
    return (project / ".venv/lib").glob("python*/site-packages")


def _tag(packages: Path) -> str:
    """Return `cpython-313` for `python3.13`."""
    return "cpython-" + packages.parent.name.removeprefix("python").replace(".", "")


def _modules(metadata: Path) -> Iterator[str]:
    with (metadata / "RECORD").open(newline="") as file:
        for name, *_ in csv.reader(file):
            if name.endswith(".py") and not name.startswith(".."):
                yield name


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.link(source, target)
