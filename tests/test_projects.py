"""What the other tests run commands with."""

import sys
from pathlib import Path

import pytest

from tests.bytecode import Bytecode
from tests.projects import run

STUCK = """
import faulthandler, time
faulthandler.enable()
print("begun", flush=True)
def wait(): time.sleep(600)
wait()
"""


def test_a_command_that_takes_too_long_shows_where_it_is(tmp_path: Path) -> None:
    said = r"(?s)took more than 5 s:\nbegun\n.*in wait\n"
    with pytest.raises(AssertionError, match=said):
        run(tmp_path, "sh", "-c", f"{sys.executable} -c '{STUCK}'", timeout=5)


def test_bytecode_is_lent_to_what_is_installed_alone(tmp_path: Path) -> None:
    packages = Path(".venv/lib/python3.13/site-packages")
    pyc = "a/__pycache__/m.cpython-313.pyc"

    def environment(name: str, *versions: str) -> Path:
        for version in versions:
            metadata = tmp_path / name / packages / f"a-{version}.dist-info"
            metadata.mkdir(parents=True)
            (metadata / "RECORD").write_text("a/m.py,,\n../../bin/a.py,,\n")
        return tmp_path / name

    compiled = environment("compiled", "1") / packages / pyc
    compiled.parent.mkdir(parents=True)
    compiled.write_text("of 1")
    bytecode = Bytecode(tmp_path / "bytecode")
    bytecode.keep(tmp_path / "compiled")
    same, other, without = environment("same", "1"), environment("other", "2"), environment("none")
    for project in (same, other, without):
        bytecode.lend(project)
    assert (same / packages / pyc).read_text() == "of 1"
    assert not (other / packages / "a").exists()
    assert not without.exists()
