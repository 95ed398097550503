"""The Pythons of this machine, and which variant runs on which of them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.variants import ROOT, Answers, code_of, name_of

Minor = tuple[int, int]

SYSTEM = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where systems have Pythons, for a PATH that leaves them out."""

_TIMEOUT_SECONDS = 30
_ASK = """
import json, os, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": list(sys.version_info),
    "executable": os.path.realpath(sys._base_executable),
    "is_environment": sys.prefix != sys.base_prefix,
    "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


class UnusablePythons(Exception):
    """The machine lacks what was asked for."""


@dataclass(frozen=True)
class Interpreter:
    """A CPython of this machine."""

    version: tuple[int, int, int, str, int]
    executable: str
    """The interpreter itself, never an environment's or a shim."""
    request: str
    """The argument for `uv run --python`: the version, or the path where uv does not look."""

    @property
    def minor(self) -> Minor:
        return self.version[:2]

    @property
    def short_name(self) -> str:
        """`3.13`"""
        return "{}.{}".format(*self.minor)

    @property
    def name(self) -> str:
        """`3.13.0`, or `3.15.0rc2`"""
        major, minor, micro, level, serial = self.version
        suffix = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(level)
        return f"{major}.{minor}.{micro}" + (f"{suffix}{serial}" if suffix else "")

    @property
    def is_final(self) -> bool:
        return self.version[3] == "final"


@cache
def supported() -> list[Minor]:
    """Return the minor versions that the template promises, the oldest first: its classifiers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classifiers = "\n".join(project["classifiers"])
    found = re.findall(r"^Programming Language :: Python :: (3)\.(\d+)$", classifiers, re.MULTILINE)
    return sorted((int(major), int(minor)) for major, minor in found)


def find(
    environ: Mapping[str, str] = os.environ,
    system: Iterable[str] = SYSTEM,
    running: str | None = sys.executable,
) -> list[Interpreter]:
    """Return the newest patch release of each CPython that is not too old, the oldest first.

    Run each candidate once. Leave out those that fail (a pyenv shim of an inactive version) and
    free-threaded builds.
    """
    candidates: dict[str, bool] = {}
    for path, is_known_to_uv in _candidates(environ, system, running):
        candidates.setdefault(path, is_known_to_uv)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(_ask, candidates))
    best: dict[Minor, Interpreter] = {}
    for is_known_to_uv, answer in zip(candidates.values(), answers, strict=True):
        if not answer or answer["implementation"] != "cpython" or answer["is_free_threaded"]:
            continue
        found = Interpreter(tuple(answer["version"]), answer["executable"], answer["executable"])
        if is_known_to_uv and not answer["is_environment"]:
            found = Interpreter(found.version, found.executable, found.name)
        if found.minor >= supported()[0]:
            best[found.minor] = max(best.get(found.minor, found), found, key=_preference)
    return [best[minor] for minor in sorted(best)]


def _preference(interpreter: Interpreter) -> tuple[Any, ...]:
    return interpreter.version, interpreter.request != interpreter.executable


def _candidates(
    environ: Mapping[str, str], system: Iterable[str], running: str | None
) -> Iterator[tuple[str, bool]]:
    """Yield the path of each file that may be an interpreter, and whether uv looks there, too."""
    if running:
        yield running, False
    home = environ.get("HOME", "/nonexistent")
    for name in environ.get("PATH", "").split(os.pathsep):
        yield from ((path, True) for path in _executables(Path(name)))
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or f"{data}/uv/python")
    pyenv = Path(environ.get("PYENV_ROOT") or f"{home}/.pyenv", "versions")
    for parent, is_known_to_uv in ((uv, True), (pyenv, False)):
        for folder in sorted(parent.glob("*/bin")):
            yield from ((path, is_known_to_uv) for path in _executables(folder))
    for name in system:
        yield from ((path, False) for path in _executables(Path(name)))


def _executables(folder: Path) -> list[str]:
    names = re.compile(r"python3(\.\d+)?")
    if not folder.is_absolute() or not folder.is_dir():
        return []
    return sorted(
        str(path)
        for path in folder.glob("python3*")
        if names.fullmatch(path.name) and path.is_file() and os.access(path, os.X_OK)
    )


def _ask(path: str) -> dict[str, Any] | None:
    """Run an interpreter; return what it says of itself, or None if it does not work."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
            text=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer


def choose(
    found: Sequence[Interpreter], asked: Sequence[str] = (), *, newest: bool = False
) -> list[Interpreter]:
    """Return the interpreters to run on: all supported ones, those asked for, or the newest.

    Raises UnusablePythons if there is none.
    """
    listed = ", ".join(f"{each.name} ({each.executable})" for each in found) or "none"
    if newest:
        chosen = list(found[-1:])
    elif asked:
        chosen = [each for each in found if {each.short_name, each.name} & set(asked)]
        known = {name for each in chosen for name in (each.short_name, each.name)}
        if unknown := [name for name in asked if name not in known]:
            raise UnusablePythons(f"no Python {', '.join(unknown)} here; found: {listed}")
    else:
        chosen = [each for each in found if each.is_final and each.minor in supported()]
    if not chosen:
        raise UnusablePythons(f"no supported Python here; found: {listed}")
    return chosen


def to_json(interpreters: Sequence[Interpreter]) -> str:
    return json.dumps([asdict(each) for each in interpreters])


def from_json(text: str) -> list[Interpreter]:
    loaded = json.loads(text)
    return [Interpreter(**{**each, "version": tuple(each["version"])}) for each in loaded]


def code_name(variant: Mapping[str, Any]) -> str:
    """Return the name of a variant's code: answers that change none of it share an interpreter."""
    return name_of(code_of(variant))


def spread(
    variants: Iterable[Answers], interpreters: Sequence[Interpreter]
) -> dict[str, Interpreter]:
    """Return an interpreter for each code, by its name.

    Each interpreter occurs once in as many successive variants as there are interpreters. It goes
    to the variant whose answers it has met least, so that each answer meets each interpreter.
    """
    spread_: dict[str, Interpreter] = {}
    used: Counter[Interpreter] = Counter()
    met: Counter[tuple[Any, Interpreter]] = Counter()
    for variant in variants:
        if code_name(variant) in spread_:
            continue
        least = min(used[each] for each in interpreters)
        chosen = min(
            (each for each in interpreters if used[each] == least),
            key=lambda each: sum(met[answer, each] for answer in variant.items()),
        )
        spread_[code_name(variant)] = chosen
        used[chosen] += 1
        met.update((answer, chosen) for answer in variant.items())
    return spread_


def summary(suites: Mapping[str, int]) -> str:
    """Return how many suites ran on each Python, by the number of suites of its full version."""
    ordered = sorted(suites, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    return "suites ran on Python " + ", ".join(f"{name} ({suites[name]})" for name in ordered)


def unproved(interpreters: Iterable[Interpreter]) -> list[str]:
    """Return the supported versions that no interpreter has."""
    met = {each.minor for each in interpreters}
    return ["{}.{}".format(*minor) for minor in supported() if minor not in met]
