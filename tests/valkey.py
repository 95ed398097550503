"""A Valkey server for the template's own tests, and its faults."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import redis

from tests import projects
from tests.servers import free_port
from tests.variants import ROOT

SOURCE = ROOT / "template/app/kit/development" / "{% if uses_redis %}.{% endif %}/valkey.py"


def load() -> ModuleType:
    """Return the module of rendered projects."""
    return projects.load(SOURCE)


DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
"""Options of a server that confirms a write only once it is on disk."""


class Valkey:
    """A server on a free TCP port; without `options` it stores nothing on disk."""

    def __init__(self, folder: Path, *options: str, user: str | None = None) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.user = user
        self.client = self.database(0)
        self._process: subprocess.Popen[bytes] | None = None

    def database(self, number: int) -> redis.Redis:
        return redis.Redis(port=self.port, db=number, username=self.user, socket_timeout=5)

    def start(self) -> None:
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(load()._binary(), "--port", str(self.port), "--dir", self.folder),
                    *("--save", "", *self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "Valkey does not start"
                time.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(folder: Path, *options: str, user: str | None = None) -> Iterator[Valkey]:
    """Yield a temporary server; `user` is who needs no password in its list of users."""
    valkey = Valkey(folder, *options, user=user)
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.client.close()
        valkey.kill()
