"""A PgBouncer in front of a test server, which listens on a Unix socket."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests import postgresql
from tests.debian import Program
from tests.servers import free_port

_CONFIGURATION = """\
[databases]
* = host={socket} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
query_wait_timeout = 3
server_login_retry = 0.2
logfile = {folder}/pgbouncer.log
"""


class PgBouncer:
    """A pooler of a database, with `size` connections to its server.

    It refuses to run as root, and only their own user may open the server's socket.
    """

    def __init__(self, program: Program, url: str, folder: Path, *, mode: str, size: int) -> None:
        parts, _, socket = url.partition("?host=")
        port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{parts.rpartition('/')[2]}"
        self._program = program
        self._log = folder / "pgbouncer.log"
        self._configuration = folder / "pgbouncer.ini"
        self._configuration.write_text(
            _CONFIGURATION.format(socket=socket, port=port, mode=mode, size=size, folder=folder)
        )
        self._user = postgresql.load()._unprivileged_user() if os.geteuid() == 0 else None
        if self._user is not None:
            for each in (folder, self._configuration):
                os.chown(each, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it passes statements. Raise AssertionError with its log."""
        self._process = subprocess.Popen(
            [
                self._program.path,
                *(("-u", self._user.pw_name) if self._user else ()),
                self._configuration,
            ],
            env={**os.environ, **self._program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                postgresql.execute(self.url, "SELECT 1")
                return
            except (OSError, asyncpg.PostgresError):
                log = self._log.read_text() if self._log.exists() else "it has no log"
                assert self._process.poll() is None, log
                assert time.monotonic() < deadline, log
                time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(program: Program, url: str, *, mode: str, size: int) -> Iterator[PgBouncer]:
    """Yield a temporary pooler."""
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    try:
        pooler = PgBouncer(program, url, folder, mode=mode, size=size)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.kill()
    finally:
        shutil.rmtree(folder)
