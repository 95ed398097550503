"""Services that stop, or start their workers again, under load: no request is lost."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.conftest import Rendered, as_parameter
from tests.servers import SERVE, Service, children, start
from tests.variants import Answers, focused

CLIENTS = 8
SMALL = [as_parameter(each) for each in focused(database="none", lifecycle="depends")[:1]]
small = pytest.mark.parametrize("variant", SMALL, indirect=True)


@pytest.fixture
def project(installed: Rendered, variant: Answers) -> Path:
    return installed(**variant)


@dataclass
class Load:
    """What clients have seen that keep their connections, each until it is refused one."""

    answered: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)


@contextmanager
def load(url: str) -> Iterator[Load]:
    """Send requests without a pause until the server is gone, or until the end."""
    seen, ending = Load(), threading.Event()

    def send() -> None:
        with httpx2.Client(base_url=url, timeout=10) as client:
            while not ending.is_set():
                try:
                    client.get("/livez").raise_for_status()
                    seen.answered += 1
                except httpx2.ConnectError:
                    seen.refused += 1
                    return
                except httpx2.HTTPError as error:
                    seen.lost.append(repr(error))

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def wait_for_requests(seen: Load, count: int) -> None:
    enough, deadline = seen.answered + count, time.monotonic() + 30
    while seen.answered < enough:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_refused(seen: Load) -> None:
    """Return once no client gets a connection any more."""
    deadline = time.monotonic() + 30
    while seen.refused < CLIENTS:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def wait_until_stopping(service: Service) -> None:
    """Return once the signal has arrived; a server that is gone by then is an error."""
    while httpx2.get(f"{service.url}/readyz", timeout=5).status_code != 503:
        time.sleep(0.1)


def worker_ids(service: Service) -> list[int]:
    """Return the processes that serve, below `uv run` and the one that supervises them."""
    (parent,) = children(service.process.pid)
    found = []
    for child in children(parent):
        with suppress(psutil.NoSuchProcess):
            if "resource_tracker" not in " ".join(psutil.Process(child).cmdline()):
                found.append(child)
    return found


@small
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_request(project: Path, workers: int) -> None:
    """Before: about one request of each client was reset."""
    settings = {"SHUTDOWN_DELAY": "3"}
    with start(project, *SERVE, "--workers", str(workers), settings=settings) as service:
        with load(service.url) as seen:
            wait_for_requests(seen, 500)
            service.process.send_signal(signal.SIGTERM)
            before = seen.answered
            wait_until_stopping(service)
            service.process.wait(15)
            wait_until_refused(seen)
        assert seen.answered > before
        assert (seen.lost, seen.refused) == ([], CLIENTS)
        assert service.errors() == []


@small
@pytest.mark.parametrize("workers", [1, 2])
def test_second_sigterm_ends_the_wait(project: Path, workers: int) -> None:
    settings = {"SHUTDOWN_DELAY": "60"}
    with start(project, *SERVE, "--workers", str(workers), settings=settings) as service:
        service.process.send_signal(signal.SIGTERM)
        wait_until_stopping(service)
        service.stop(timeout=15)


@small
def test_signal_to_all_processes_leaves_no_client_waiting(project: Path) -> None:
    """As systemd and terminals send it: a worker gets the supervisor's signal as well."""
    settings = {"SHUTDOWN_DELAY": "3"}
    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        with load(service.url) as seen:
            wait_for_requests(seen, 500)
            os.killpg(service.process.pid, signal.SIGTERM)
            before = seen.answered
            wait_until_refused(seen)
        assert seen.answered > before + 500
        assert (seen.lost, seen.refused) == ([], CLIENTS)


@small
def test_workers_that_start_again_lose_no_request(project: Path) -> None:
    with (
        start(project, *SERVE, "--workers", "2") as service,
        load(service.url) as seen,
    ):
        first = worker_ids(service)
        (parent,) = children(service.process.pid)
        psutil.Process(parent).send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while set(first) & set(worker_ids(service)):
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.1)
        wait_for_requests(seen, 500)
        assert (seen.lost, seen.refused) == ([], 0)


@small
def test_death_of_a_worker_is_an_error_in_the_log(project: Path) -> None:
    with start(project, *SERVE, "--workers", "2") as service:
        victim, _ = worker_ids(service)
        psutil.Process(victim).kill()
        deadline = time.monotonic() + 60
        while not (said := re.findall(r".*a worker ended.*", service.log.read_text())):
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.1)
        assert len(said) == 1
        assert '"level": "ERROR"' in said[0]
        assert '"exit_code": -9' in said[0]
