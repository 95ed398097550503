"""Programs that are not installed are unpacked, or the failure says what to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import debian

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="elsewhere than on Debian")


@pytest.mark.parametrize("name", ["nginx", "pgbouncer"])
def test_program_that_is_not_installed_is_unpacked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_installed", lambda _: None)
    program = debian.program(name, name, tmp_path)
    assert Path(program.path).is_relative_to(tmp_path)
    environment = {**os.environ, **program.environment}
    done = subprocess.run([program.path, "-V"], env=environment, capture_output=True, check=True)
    assert name in (done.stdout + done.stderr).decode().lower()
    assert debian.program(name, name, tmp_path) == program  # nothing is downloaded again


def test_failure_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(debian.NoProgram, match=r"apt-get install no-such-package"):
        debian.program("no-such-program", "no-such-package", tmp_path)
    assert list(tmp_path.iterdir()) == []
