"""Interpreters are found wherever they are, and variants are spread over them."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NEWEST, python_of
from tests.interpreters import (
    Interpreter,
    UnusablePythons,
    choose,
    code_name,
    find,
    from_json,
    spread,
    supported,
    to_json,
    unproved,
)
from tests.projects import environment, git, run, using
from tests.variants import (
    ROOT,
    all_variants,
    code_of,
    command_for,
    covering_set,
    focused,
)


class Machine:
    """A folder of made-up interpreters, as a home with a PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: list[str] = []

    def script(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\necho "$0" >> {self.folder}/runs\n{text}\n')
        file.chmod(0o755)
        return file

    def python(self, name: str, version: str, /, **other: Any) -> str:
        """Add an interpreter such as `3.12.4`, or `3.15.0 candidate 2`; return its path."""
        numbers, level, serial = (*version.split(), "final", "0")[:3]
        answer = {
            "implementation": "cpython",
            "version": [*map(int, numbers.split(".")), level, int(serial)],
            "executable": str(self.folder / name),
            "is_environment": False,
            "is_free_threaded": False,
        }
        self.script(name, f"cat <<'END'\n{json.dumps(answer | other)}\nEND")
        return str(self.folder / name)

    def on_path(self, *folders: str) -> None:
        self.path += [str(self.folder / each) for each in folders]

    def found(self, *, system: Iterable[str] = (), **environ: str) -> list[Interpreter]:
        """Return what is found here."""
        path = os.pathsep.join(self.path)
        return find({"HOME": str(self.folder), "PATH": path, **environ}, system, running=None)

    def names(self, **options: Any) -> list[str]:
        return [each.name for each in self.found(**options)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_interpreters_are_found_on_path_and_where_tools_keep_them(machine: Machine) -> None:
    machine.python("bin/python3.11", "3.11.9")
    machine.on_path("bin")
    machine.python(".pyenv/versions/3.12.1/bin/python3.12", "3.12.1")
    machine.python(".local/share/uv/python/cpython-3.13.2-linux/bin/python3.13", "3.13.2")
    debian = machine.python("usr/bin/python3.14", "3.14.0")
    assert machine.names(system=[str(Path(debian).parent)]) == [
        "3.11.9",
        "3.12.1",
        "3.13.2",
        "3.14.0",
    ]
    machine.python("elsewhere/versions/3.12.2/bin/python3.12", "3.12.2")
    machine.python("uv/cpython-3.13.3-linux/bin/python3.13", "3.13.3")
    moved = {
        "PYENV_ROOT": str(machine.folder / "elsewhere"),
        "UV_PYTHON_INSTALL_DIR": str(machine.folder / "uv"),
    }
    assert machine.names(**moved) == ["3.11.9", "3.12.2", "3.13.3"]


def test_a_shim_of_a_version_that_is_not_active_hides_nothing(machine: Machine) -> None:
    machine.on_path("shims")
    machine.script("shims/python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    path = machine.python(".pyenv/versions/3.12.1/bin/python3.12", "3.12.1")
    assert [each.executable for each in machine.found()] == [path]


def test_an_active_shim_is_resolved_to_its_interpreter(machine: Machine) -> None:
    machine.on_path("shims")
    path = machine.python(".pyenv/versions/3.12.1/bin/python3.12", "3.12.1")
    machine.python("shims/python3.12", "3.12.1", executable=path)
    (found,) = machine.found()
    assert (found.executable, found.request) == (path, "3.12.1")


def test_an_environment_is_resolved_to_its_base_which_uv_may_not_know(machine: Machine) -> None:
    machine.on_path("venv/bin")
    machine.python("venv/bin/python3", "3.13.1", is_environment=True, executable="/opt/3.13/python")
    (found,) = machine.found()
    assert found == Interpreter((3, 13, 1, "final", 0), "/opt/3.13/python", "/opt/3.13/python")


def test_one_of_each_minor_version_is_kept_the_newest(machine: Machine) -> None:
    machine.on_path("old", "new")
    machine.python("old/python3.12", "3.12.9")
    machine.python("new/python3.12", "3.12.10")
    machine.python(".pyenv/versions/3.12.2/bin/python3.12", "3.12.2")
    machine.python("old/python3.13", "3.13.0 candidate 3")
    machine.python("new/python3.13", "3.13.0")
    assert machine.names() == ["3.12.10", "3.13.0"]


def test_of_equals_the_one_that_uv_finds_is_kept(machine: Machine) -> None:
    machine.python(".pyenv/versions/3.12.2/bin/python3.12", "3.12.2")
    machine.on_path("bin", "again")
    machine.python("venv/bin/python3.12", "3.12.2", is_environment=True)
    machine.path.insert(0, str(machine.folder / "venv/bin"))
    first = machine.python("bin/python3.12", "3.12.2")
    machine.python("again/python3.12", "3.12.2")
    (found,) = machine.found()
    assert (found.executable, found.request) == (first, "3.12.2")


@pytest.mark.parametrize(
    "other",
    [{"is_free_threaded": True}, {"implementation": "pypy"}, {"version": [3, 10, 13, "final", 0]}],
)
def test_other_builds_and_old_versions_are_left_out(
    machine: Machine, other: dict[str, object]
) -> None:
    machine.on_path("bin")
    machine.python("bin/python3", "3.13.0", **other)
    machine.python("bin/python3.12", "3.12.0")
    assert machine.names() == ["3.12.0"]


@pytest.mark.parametrize("text", ["exit 1", "kill -9 $$", "echo Python 3.13", "echo '[]'", "true"])
def test_a_broken_interpreter_is_left_out(machine: Machine, text: str) -> None:
    machine.on_path("bin", "missing", "")
    machine.script("bin/python3.13", text)
    (machine.folder / "bin/python3.14").symlink_to("/nowhere")
    (machine.folder / "bin/python3.15").mkdir()
    machine.script("bin/python3", "exit 0").chmod(0o644)
    machine.python("bin/python3.12", "3.12.0")
    assert machine.names() == ["3.12.0"]


def test_only_candidates_run_each_once(machine: Machine) -> None:
    machine.on_path("bin", "bin")
    names = ["python3.11", "python3.12", "python3"]
    for name in (*names, "python3.12-config", "python3-gdb.py", "python2", "pip3.12"):
        machine.python(f"bin/{name}", "3.12.0")
    machine.found(system=[str(machine.folder / "bin")])
    runs = (machine.folder / "runs").read_text().split()
    assert sorted(runs) == sorted(str(machine.folder / "bin" / name) for name in names)


def test_the_running_interpreter_is_found() -> None:
    found = find({}, system=[])
    assert [each.version for each in found] == [tuple(sys.version_info)]
    assert found[0].executable == os.path.realpath(found[0].executable)
    asked = "import sys; print(sys.version_info[:3], sys.prefix == sys.base_prefix)"
    said = subprocess.check_output([found[0].executable, "-c", asked], text=True)
    assert said == f"{tuple(sys.version_info[:3])} True\n"


def made_up(*versions: str) -> list[Interpreter]:
    return [
        Interpreter((3, int(minor), int(micro), level or "final", 0), f"/{minor}", f"/{minor}")
        for minor, micro, level in re.findall(r"3\.(\d+)\.(\d+)(?: ([a-z]+))?", " ".join(versions))
    ]


FOUND = made_up("3.11.7", "3.12.1", "3.15.0 beta", "3.99.0 alpha")


def test_all_supported_ones_are_chosen() -> None:
    assert [each.name for each in choose(FOUND)] == ["3.11.7", "3.12.1"]


def test_any_may_be_asked_for() -> None:
    chosen = choose(FOUND, ["3.99", "3.11.7", "3.11"])
    assert [each.name for each in chosen] == ["3.11.7", "3.99.0a0"]


def test_the_newest_may_be_one_that_is_not_supported_yet() -> None:
    assert [each.name for each in choose(FOUND, newest=True)] == ["3.99.0a0"]


@pytest.mark.parametrize(
    ("found", "asked", "said"),
    [
        (
            FOUND,
            ["3.12", "3.13", "12"],
            r"no Python 3\.13, 12 here; found: 3\.11\.7 \(/11\), 3\.12\.1",
        ),
        (FOUND[2:], [], r"no supported Python here; found: 3\.15\.0b0 \(/15\), 3\.99"),
        ([], [], "no supported Python here; found: none"),
    ],
)
def test_missing_pythons_are_named_beside_those_found(
    found: list[Interpreter], asked: list[str], said: str
) -> None:
    with pytest.raises(UnusablePythons, match=said):
        choose(found, asked)


def test_processes_are_handed_the_same_interpreters() -> None:
    assert from_json(to_json(FOUND)) == FOUND


FIVE = made_up(*(f"3.{minor}.0" for minor in range(11, 16)))
SUITES = covering_set(all_variants())


@pytest.mark.parametrize("count", range(1, 6))
def test_each_answer_meets_each_python(count: int) -> None:
    """In the covering set, whose suites a run without options has."""
    pythons = FIVE[:count]
    on = spread([*SUITES, *covering_set(all_variants(), 2), *all_variants()], pythons)
    met = {(answer, on[code_name(each)]) for each in SUITES for answer in each.items()}
    answers = {answer for each in all_variants() for answer in each.items()}
    assert met == set(itertools.product(answers, pythons))
    for those in (SUITES, all_variants()):
        used = Counter(on[code_name(each)] for each in those)
        assert len(used) == count
        assert max(used.values()) - min(used.values()) <= 1


def test_this_run_is_spread_like_that() -> None:
    pythons = {python_of(each) for each in all_variants()}
    met = {(answer, python_of(each)) for each in SUITES for answer in code_of(each).items()}
    answers = {answer for each in all_variants() for answer in code_of(each).items()}
    assert met == set(itertools.product(answers, pythons))


def test_a_new_variant_moves_no_other() -> None:
    before = spread(all_variants()[:-1], FIVE)
    assert before.items() <= spread(all_variants(), FIVE).items()
    assert spread(all_variants(), FIVE) == spread(all_variants(), FIVE)


def test_variants_of_the_same_code_share_a_python() -> None:
    (one,) = focused(docker=True, ci="github")
    (other,) = focused(docker=False, ci="gitlab")
    assert python_of(one) == python_of(other)


def test_unproved_versions_are_those_without_an_interpreter() -> None:
    names = ["{}.{}".format(*minor) for minor in supported()]
    assert unproved([]) == names
    assert unproved(made_up(f"{names[0]}.0", f"{names[-1]}.4")) == names[1:-1]


PROJECT = {
    "conftest.py": "from tests.conftest import *\n",
    "test_it.py": """
import pytest
@pytest.fixture
def installed():
    pass
def test_suite(suite_variant, installed):
    assert suite_variant["database"] != "none", "made to fail"
def test_other(paired_variant):
    pass
""",
}


def run_pytest(folder: Path, machine: Machine, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a folder, with the hooks and fixtures of these, on made-up interpreters."""
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    path = os.pathsep.join([*machine.path, os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", *options],
        cwd=folder,
        env=environment(PATH=path, PYTHONPATH=str(ROOT), HOME=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_says_on_which_pythons_its_suites_ran(
    machine: Machine, tmp_path: Path, processes: str
) -> None:
    machine.on_path("bin")
    machine.python("bin/python3.12", "3.12.99")
    machine.python("bin/python3.13", "3.13.99")
    done = run_pytest(tmp_path, machine, "-n", processes, "-ra", "--python=3.12", "--python=3.13")
    output = done.stdout
    assert f"Pythons: 3.12.99 ({machine.folder}/bin/python3.12), 3.13.99" in output, output
    summary = re.search(r"suites ran on Python 3\.12\.99 \((\d+)\), 3\.13\.99 \((\d+)\)", output)
    assert summary, output
    assert int(summary[1]) + int(summary[2]) == len(SUITES)
    others = [name for name in unproved([]) if name not in ("3.12", "3.13")]
    assert f"NOT PROVED on Python {', '.join(others)}\n" in output
    failed = re.findall(r"^FAILED \S+\[(\S+)-py(3\.\d+)\]", output, re.MULTILINE)
    assert {python for _, python in failed} == {"3.12", "3.13"}
    assert re.search(r"copier copy .* database=none .*uv run --python 3\.13\.99 pytest", output)


def test_a_lone_python_is_said_aloud(machine: Machine, tmp_path: Path) -> None:
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.99")
    done = run_pytest(tmp_path, machine, "--python=3.13", "--quick", "--color=yes")
    assert "suites ran on Python 3.13.99 (3)" in done.stdout
    others = [name for name in unproved([]) if name != "3.13"]
    assert f"\x1b[31m\x1b[1mNOT PROVED on Python {', '.join(others)}\x1b[0m" in done.stdout


def test_the_newest_run_is_of_pairs_with_pre_releases(machine: Machine, tmp_path: Path) -> None:
    machine.on_path("bin")
    machine.python("bin/python3", "3.99.0 alpha 1")
    done = run_pytest(tmp_path, machine, "--newest")
    assert f"suites ran on Python 3.99.0a1 ({len(covering_set(all_variants(), 2))})" in done.stdout
    assert "uv run --prerelease allow --python 3.99.0a1 pytest" in done.stdout


def test_an_unknown_python_is_refused(machine: Machine, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, machine, "--python=3.98")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no Python 3.98 here; found: " in done.stderr
    assert ".".join(map(str, sys.version_info[:3])) in done.stderr


def test_pre_releases_reach_uv(tmp_path: Path) -> None:
    """A lock file says how it was resolved."""
    text = '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    with using(**NEWEST):
        run(tmp_path, "uv", "lock", "--quiet", "--offline")
    assert 'prerelease-mode = "allow"' in (tmp_path / "uv.lock").read_text()
    run(tmp_path, "uv", "lock", "--quiet", "--offline")
    assert "prerelease-mode" not in (tmp_path / "uv.lock").read_text()


def test_settings_in_use_end_with_their_block() -> None:
    outer = environment()
    with using(UV_PYTHON="/one"), using(A="1"):
        assert environment()["UV_PYTHON"] == "/one"
        assert environment(UV_PYTHON="/two", B="2").items() >= {
            ("UV_PYTHON", "/two"),
            ("A", "1"),
            ("B", "2"),
        }
    assert environment() == outer


def test_the_command_that_reproduces_a_failure_works(template: Path, tmp_path: Path) -> None:
    """It is of one line, and the Python that it names is the one that runs."""
    (variant,) = focused(database="none")
    python = python_of(variant)
    git(tmp_path, "clone", "--quiet", str(template), "clone")
    command = command_for(variant, "--python", python.request)
    output = run(tmp_path / "clone", "bash", "-c", f"{command} tests/kit/test_answers.py")
    assert f"Python {python.name}," in output
    assert re.search(r"\d+ passed", output)
    assert (tmp_path / "variant/.copier-answers.yml").is_file()
