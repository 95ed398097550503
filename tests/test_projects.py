"""What the other tests run commands with."""

import sys
from pathlib import Path

import pytest

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
