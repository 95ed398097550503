"""The queue when workers and servers die, with real processes and real servers."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests import postgresql, probe, valkey
from tests.conftest import Rendered, as_parameter
from tests.projects import run
from tests.servers import PASSWORD, SERVE, Service, children, start, start_worker
from tests.variants import Answers, focused

VARIANTS = [
    as_parameter(variant)
    for lifecycle, database, jobs in (
        ("depends", "postgresql", "postgresql"),
        ("clean-ioc", "sqlite", "redis"),
        ("dishka", "none", "redis"),
    )
    for variant in focused(lifecycle=lifecycle, database=database, jobs=jobs)
]
for_each_queue = pytest.mark.parametrize("variant", VARIANTS, indirect=True)

# Until another worker runs the jobs of a dead one.
TAKEOVER_TIMEOUT_SECONDS = 60.0


@dataclass
class Server:
    """Faults of the server of a queue."""

    kill: Callable[[], None]
    start: Callable[[], None]
    signal: Callable[[int], None]


class Queue:
    """A service with the jobs of `probe`, and the server of its queue."""

    def __init__(self, project: Path, settings: dict[str, str], server: "Server") -> None:
        self.project = project
        self.settings = settings
        self.server = server
        self.said = project / "said.txt"
        self.said.touch()

    def enqueue(self, count: int = 1, seconds: float = 0, kind: str = "jobs") -> None:
        with start(self.project, *SERVE, settings=self.settings) as service:
            work = {"path": str(self.said), "count": count, "seconds": seconds}
            response = httpx2.post(f"{service.url}/probe/{kind}", json=work, timeout=60)
            assert response.status_code == 202, service.log.read_text()
            service.stop()

    def heard(self, what: str) -> list[str]:
        """Return the names of the jobs that `began` or `ended`."""
        lines = (line.split() for line in self.said.read_text().splitlines())
        return [name for said, name, _ in lines if said == what]

    def wait_for(self, what: str, count: int, within: float) -> None:
        deadline = time.monotonic() + within
        while len(set(self.heard(what))) < count or len(self.heard(what)) < count:
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)

    def wait_for_count(self, what: str, count: int, within: float) -> None:
        deadline = time.monotonic() + within
        while len(self.heard(what)) < count:
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)

    def worker(self, **settings: str) -> AbstractContextManager[Service]:
        return start_worker(self.project, self.settings | settings)


@pytest.fixture
def queue(installed: Rendered, variant: Answers, tmp_path: Path) -> Iterator[Queue]:
    project = probe.add(installed(**variant), tmp_path / "project", **probe.JOBS)
    settings = {"SECRET_KEY": "a key for tests that guards nothing at all"}
    if variant["database"] == "sqlite":
        settings["DATABASE_URL"] = f"sqlite+aiosqlite:///{tmp_path}/app.db"
    with server_of(variant, tmp_path) as (address, server):
        settings |= address
        if variant["database"] != "none":
            run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
        yield Queue(project, settings, server)


@contextmanager
def server_of(variant: Answers, folder: Path) -> Iterator[tuple[dict[str, str], Server]]:
    if variant["jobs"] == "redis":
        with valkey.running(folder, *valkey.DURABLE) as kept:
            yield {"REDIS_URL": kept.url}, Server(kept.kill, kept.start, kept.signal)
        return
    module = postgresql.load()
    with module.running(folder / "postgresql", keep=True) as server_url:
        server = module._Server(folder / "postgresql", keep=True)
        server.binaries = module._binaries(server.data, as_root=os.geteuid() == 0)

        def kill() -> None:
            server._run("pg_ctl", "stop", "-w", "-m", "immediate")

        def send(number: int) -> None:
            postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
            for process in (postmaster, *children(postmaster)):
                os.kill(process, number)

        address = {"DATABASE_URL": postgresql.new_database(server_url)}
        yield address, Server(kill, server.start, send)
    postgresql.forget(folder / "postgresql")


@for_each_queue
def test_job_of_a_killed_worker_runs_again(queue: Queue) -> None:
    """On a worker that already waits, without a new job to wake it."""
    with queue.worker() as first:
        queue.enqueue(seconds=10)  # still running when the other worker has started
        queue.wait_for("began", 1, within=20)
        with queue.worker() as second:
            first.kill()
            killed = time.monotonic()
            while len(queue.heard("began")) < 2:
                assert time.monotonic() < killed + TAKEOVER_TIMEOUT_SECONDS, second.log.read_text()
                time.sleep(0.1)
            queue.wait_for("ended", 1, within=40)
    assert queue.said.read_text().split() == [
        *("began", "0", "1"),
        *("began", "0", "2"),
        *("ended", "0", "2"),
    ]


@pytest.mark.parametrize("variant", VARIANTS[1:], indirect=True)
def test_worker_that_was_frozen_leaves_its_job_to_the_one_that_has_it(queue: Queue) -> None:
    """It would put it back, to be run a third time, or acknowledge what another one still runs."""
    queue.enqueue(seconds=60)
    with queue.worker() as first:
        queue.wait_for("began", 1, within=20)
        (process,) = children(first.process.pid)
        with queue.worker() as second:
            os.kill(process, signal.SIGSTOP)
            try:
                queue.wait_for_count("began", 2, within=TAKEOVER_TIMEOUT_SECONDS)
            finally:
                os.kill(process, signal.SIGCONT)
            deadline = time.monotonic() + 30
            while "job taken over by another worker" not in first.log.read_text():
                assert time.monotonic() < deadline, first.log.read_text()
                time.sleep(0.1)
            time.sleep(8)  # longer than between two heartbeats
            assert len(queue.heard("began")) == 2
            second.kill()  # the job is still the second one's, so it runs again
        queue.wait_for_count("began", 3, within=TAKEOVER_TIMEOUT_SECONDS)


@pytest.mark.parametrize("variant", VARIANTS[1:2], indirect=True)
def test_jobs_that_are_enqueued_while_the_queue_is_down_run_later(queue: Queue) -> None:
    """Also if their service dies: the database has them."""
    work = {"path": str(queue.said), "count": 10}
    with start(queue.project, *SERVE, settings=queue.settings) as service:
        queue.server.kill()
        started = time.monotonic()
        for _ in range(3):
            assert httpx2.post(f"{service.url}/probe/jobs", json=work).status_code == 202
        form = {"email": "ada@example.com", "password": PASSWORD}
        assert httpx2.post(f"{service.url}/register", json=form, timeout=30).status_code == 201
        assert time.monotonic() - started < 3 * 3
        assert service.log.read_text().count("queue unavailable") == 1
        assert not service.errors()
        service.kill()
    with queue.worker() as worker:
        queue.server.start()
        queue.wait_for_count("ended", 30, within=90)
        deadline = time.monotonic() + 30
        while "users.send_mail" not in worker.log.read_text():
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.1)
    assert len(queue.heard("began")) == 30


@pytest.mark.parametrize("variant", VARIANTS[2:], indirect=True)
def test_request_fails_at_once_while_the_queue_is_down(queue: Queue) -> None:
    with start(queue.project, *SERVE, settings=queue.settings) as service:
        queue.server.kill()
        started = time.monotonic()
        for _ in range(5):
            work = {"path": str(queue.said)}
            response = httpx2.post(f"{service.url}/probe/jobs", json=work, timeout=30)
            assert response.status_code == 503
        assert time.monotonic() - started < 3
        assert "probe.write" in service.log.read_text()
        queue.server.start()
        deadline = time.monotonic() + 10
        while httpx2.post(f"{service.url}/probe/jobs", json=work, timeout=30).status_code != 202:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@for_each_queue
def test_worker_of_another_release_leaves_jobs_that_it_does_not_know(
    queue: Queue, installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(installed(**variant), old, symlinks=True)
    with start_worker(old, queue.settings) as other, queue.worker() as worker:
        queue.enqueue(count=40)
        time.sleep(5)
        assert other.stop() == 0
        queue.wait_for("ended", 40, within=60)
        assert worker.stop() == 0
        assert "job unknown" in (log := other.log.read_text())
        assert str(queue.said) not in log
        assert not other.errors(), log
        assert not worker.errors()
    assert len(queue.heard("began")) == 40


@for_each_queue
def test_two_workers_run_each_of_a_thousand_jobs_once(queue: Queue) -> None:
    queue.enqueue(count=1000)
    with queue.worker() as one, queue.worker() as other:
        queue.wait_for("ended", 1000, within=120)
        time.sleep(1)
        for worker in (one, other):
            assert worker.stop() == 0
            assert '"job done"' in worker.log.read_text()
            assert not worker.errors()
    assert sorted(queue.heard("ended"), key=int) == [str(number) for number in range(1000)]


@for_each_queue
def test_killed_server_loses_no_job(queue: Queue) -> None:
    queue.enqueue(count=300, seconds=0.1)
    with queue.worker() as one, queue.worker() as other:
        queue.wait_for("ended", 50, within=60)
        queue.server.kill()
        time.sleep(1)
        queue.server.start()
        queue.wait_for("ended", 300, within=120)
        assert one.stop() == other.stop() == 0
        # A worker that starts slowly may not see the outage.
        assert "queue unavailable" in one.log.read_text() + other.log.read_text()
    assert set(queue.heard("ended")) == {str(number) for number in range(300)}


@for_each_queue
def test_worker_reconnects_while_a_long_job_runs(queue: Queue) -> None:
    queue.enqueue(seconds=120)
    with queue.worker(SHUTDOWN_TIMEOUT="5") as worker:
        queue.wait_for("began", 1, within=20)
        queue.server.kill()
        time.sleep(1)
        queue.server.start()
        queue.said.write_text("")
        queue.enqueue(count=5)
        queue.wait_for("ended", 5, within=30)
        assert worker.stop() == 0


@for_each_queue
def test_worker_stops_while_the_queue_is_frozen(queue: Queue) -> None:
    with queue.worker(SHUTDOWN_TIMEOUT="1") as worker:
        time.sleep(2)
        queue.server.signal(signal.SIGSTOP)
        try:
            time.sleep(1)
            started = time.monotonic()
            assert worker.stop(timeout=45) == 0
            assert time.monotonic() - started < 1 + 10 + 3
        finally:
            queue.server.signal(signal.SIGCONT)


@for_each_queue
def test_worker_ends_although_a_job_ignores_its_interruption(queue: Queue) -> None:
    queue.enqueue(kind="cling")
    with queue.worker(SHUTDOWN_TIMEOUT="1") as worker:
        queue.wait_for("began", 1, within=20)
        started = time.monotonic()
        assert worker.stop(timeout=45) == 1
        assert time.monotonic() - started < 1 + 10 + 3
        assert "the process ends without them" in worker.log.read_text()


@for_each_queue
def test_worker_stops_while_the_queue_is_down(queue: Queue) -> None:
    queue.enqueue(count=20, seconds=0.2)
    with queue.worker() as worker:
        queue.wait_for("began", 1, within=20)
        queue.server.kill()
        deadline = time.monotonic() + 45
        while "queue unavailable" not in worker.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert worker.stop() == 0
        assert "Traceback" not in (log := worker.log.read_text()), log
        queue.server.start()


@pytest.mark.parametrize("variant", VARIANTS[2:], indirect=True)
def test_waiting_jobs_run_once_although_others_are_long(queue: Queue) -> None:
    """The jobs are longer than the time after which a silent worker counts as dead."""
    queue.enqueue(count=5, seconds=25)
    with queue.worker(JOB_CONCURRENCY="2"), queue.worker(JOB_CONCURRENCY="1"):
        queue.wait_for("ended", 5, within=90)
    assert sorted(queue.heard("began")) == ["0", "1", "2", "3", "4"]


@for_each_queue
def test_stopped_worker_finishes_its_jobs_or_returns_them(queue: Queue) -> None:
    queue.enqueue(seconds=3)
    with queue.worker() as worker:
        queue.wait_for("began", 1, within=20)
        assert worker.stop() == 0
        assert not worker.errors()
    assert queue.heard("ended") == ["0"]
    queue.said.write_text("")
    queue.enqueue(seconds=5)
    with queue.worker(SHUTDOWN_TIMEOUT="1") as worker:
        queue.wait_for("began", 1, within=20)
        stopped = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - stopped < 4
    assert not queue.heard("ended")
    with queue.worker():
        queue.wait_for("ended", 1, within=TAKEOVER_TIMEOUT_SECONDS)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes whose working directory is a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.parametrize("variant", VARIANTS[:2], indirect=True)
def test_development_server_runs_a_worker(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(installed(**variant), project, symlinks=True)
    with start(project, "uv", "run", "dev.py") as service:
        form = {"email": "ada@example.com", "password": PASSWORD}
        for email in ("ada@example.com", "bob@example.com"):
            httpx2.post(f"{service.url}/register", json=form | {"email": email}, timeout=30)
            deadline = time.monotonic() + 180
            while f"mail to {email}" not in service.log.read_text():
                assert time.monotonic() < deadline, service.log.read_text()
                time.sleep(0.1)
            started = service.log.read_text().count("waiting for jobs")
            emails = project / "app/users/emails.py"  # the worker restarts on changes
            emails.write_text(emails.read_text() + "\n# changed\n")
            deadline = time.monotonic() + 180
            while service.log.read_text().count("waiting for jobs") == started:
                assert time.monotonic() < deadline, service.log.read_text()
                time.sleep(0.1)
        service.stop()
        assert not service.errors(), service.log.read_text()
    deadline = time.monotonic() + 30  # multiprocessing's resource tracker ends after its parent
    while left := processes_in(project):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    if variant["database"] == "postgresql":
        postgresql.forget(project / "data/postgresql")


@pytest.mark.parametrize("variant", VARIANTS[::2], indirect=True)
def test_scheduled_job_runs_once_for_all_workers(queue: Queue, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    ticks.touch()
    with queue.worker(TICKS=str(ticks)), queue.worker(TICKS=str(ticks)):
        if time.time() % 60 > 50:
            time.sleep(15)
        ticks.write_text("")
        time.sleep(60 - time.time() % 60 + 5)
        assert len(ticks.read_text().split()) == 1
