"""Rendered services as real processes on real sockets."""

import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.projects import environment

SERVE = ("uv", "run", "python", "-m", "app", "serve")
PASSWORD = "correct horse battery"


def free_port() -> int:
    """Return a port of the loopback that nobody listens on.

    It is outside the range from which the kernel assigns ports: no other server of this run can get
    it meanwhile.
    """
    while True:
        port = secrets.choice(range(10_000, 32_000))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


# anyio, when a read from a UNIX socket is cancelled just as data arrives: nothing is lost.
_CANCELLED_READ = re.compile(
    r".*Exception in callback Future\.set_result\(None\)"
    r"(.*InvalidStateError|(\n.*){0,6}?\nasyncio\S*InvalidStateError).*\n"
)


@dataclass
class Service:
    """A running service; `log` is where it writes."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self, timeout: float = 30) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it and what it has started, without a warning."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # also what `uv run` would leave behind
        self.process.wait()

    def errors(self) -> list[str]:
        """Return the lines of the log that report errors, except for unsent mails."""
        wrong = re.compile('"level": "ERROR"|Traceback|Task was destroyed')
        lines = _CANCELLED_READ.sub("", self.log.read_text()).splitlines()
        return [line for line in lines if wrong.search(line) and "mail not sent" not in line]


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, check=False, text=True)
    return [int(child) for child in done.stdout.split()]


def resident(service: Service) -> int:
    """Return the bytes of memory of a service's process, the child of `uv run`."""
    (child,) = children(service.process.pid)
    status = Path(f"/proc/{child}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def start(
    project: Path,
    *command: str,
    settings: Mapping[str, str] | None = None,
    timeout: float = 180,
) -> Iterator[Service]:
    """Start `command --port PORT` in a project, wait until it is live, and kill it at the end."""
    port = free_port()
    log = project / f"service-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=project,
            env=environment(**(settings or {})),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_until_live(service, timeout)
        yield service
    finally:
        service.kill()
        log.unlink()


@contextmanager
def start_worker(project: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """Start a worker in a project; wait until it looks for jobs; kill it at the end if need be."""
    log = project / f"worker-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["uv", "run", "python", "-m", "app", "worker"],
            cwd=project,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = Service(process, "", log)
    try:
        deadline = time.monotonic() + 180
        while "waiting for jobs" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield worker
    finally:
        worker.kill()
        log.unlink()


def wait_until_live(service: Service, timeout: float) -> None:
    """Return once `/livez` answers. Raises AssertionError with the log if it does not in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and service.process.poll() is None:
        try:
            if httpx2.get(f"{service.url}/livez", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"the service does not answer:\n{service.log.read_text()}")


@asynccontextmanager
async def signed_in(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client of a service, signed in as somebody new."""
    async with httpx2.AsyncClient(base_url=service.url, timeout=30) as client:
        email = f"{time.time_ns()}@example.com"
        await client.post("/register", json={"email": email, "password": PASSWORD})
        form = {"username": email, "password": PASSWORD}
        token = (await client.post("/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
