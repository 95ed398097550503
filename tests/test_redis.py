"""Every client of Redis or Valkey, on servers as providers have them."""

import asyncio
import queue
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
import trustme

from tests import probe, tcp, valkey
from tests.conftest import Rendered, as_parameter
from tests.servers import SERVE, Service, start, start_worker
from tests.valkey import Valkey
from tests.variants import Answers, focused

ALL = [
    as_parameter(each)
    for each in focused(
        lifecycle="depends", database="none", cache="redis", websockets="redis", jobs="redis"
    )
]
for_all = pytest.mark.parametrize("variant", ALL, indirect=True)
PASSWORD = "p@ss/w%rd#?"
PREFIX = "probe:production"

CACHED = """
from app.kit.cache import cached


@router.get("/cached")
@cached(expire=60, public=True)
async def cached_number() -> float:
    return time.monotonic()
"""


@pytest.fixture
def project(installed: Rendered, variant: Answers, tmp_path: Path) -> Path:
    project = probe.add(installed(**variant), tmp_path / "project", **probe.JOBS)
    routes = project / "app/probe/routes.py"
    routes.write_text(routes.read_text().replace("\nfrom fastapi", "\nimport time\n\nfrom fastapi"))
    routes.write_text(routes.read_text() + CACHED)
    return project


@dataclass
class Place:
    """How to reach a server, and the server."""

    url: str
    server: Valkey


@contextmanager
def with_acl(folder: Path) -> Iterator[Place]:
    """A user who may only use what begins with the prefix; the default user is off."""
    rules = f"~{PREFIX}:* &{PREFIX}:* +@all -@admin -@dangerous +info"
    users = ["default off", f"app on >{PASSWORD} {rules}", "root on nopass ~* &* +@all"]
    (folder / "acl").write_text("".join(f"user {user}\n" for user in users))
    with valkey.running(folder, "--aclfile", str(folder / "acl"), user="root") as server:
        yield Place(f"redis://app:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/0", server)


@contextmanager
def on_socket(folder: Path) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as short:  # paths of sockets have at most 100 bytes
        path = f"{short}/socket"
        with valkey.running(folder, "--unixsocket", path) as server:
            yield Place(f"unix://{path}?db=2", server)


@contextmanager
def over_tls(folder: Path) -> Iterator[Place]:
    """A server behind a proxy that speaks TLS, with a certificate of an authority of its own."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with valkey.running(folder) as server, tls_proxy(context, server.port) as port:
        yield Place(f"rediss://127.0.0.1:{port}/1?ssl_ca_certs={folder}/ca.pem", server)


@contextmanager
def tls_proxy(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """Yield the port of a proxy that speaks TLS in front of another port."""
    stopping = asyncio.Event()
    started: queue.Queue[tuple[asyncio.AbstractEventLoop, int]] = queue.Queue()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        async with tcp.closing(other_writer):
            await asyncio.gather(
                tcp.copy(reader, other_writer),
                tcp.copy(other_reader, writer),
                return_exceptions=True,
            )

    async def serve() -> None:
        async with tcp.listening(connected, context) as proxy_port:
            started.put((asyncio.get_running_loop(), proxy_port))
            await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, proxy_port = started.get(timeout=10)
    try:
        yield proxy_port
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()


PLACES = {"an ACL": with_acl, "a socket": on_socket, "TLS": over_tls}


def use(service: Service, said: Path) -> float:
    """Cache a response and enqueue a job; return what was cached."""
    work = {"path": str(said)}
    assert httpx2.post(f"{service.url}/probe/jobs", json=work, timeout=30).status_code == 202
    return float(httpx2.get(f"{service.url}/probe/cached", timeout=30).text)


@for_all
@pytest.mark.parametrize("place", PLACES)
def test_every_client_reaches_every_kind_of_server(
    project: Path, place: str, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with PLACES[place](tmp_path) as reached:
        settings = {"REDIS_URL": reached.url, "SERVICE_SLUG": "probe"}
        with start(project, *SERVE, settings=settings) as service:
            first = use(service, said)
            assert use(service, said) == first  # the cache has it
            assert not service.errors()
            with start_worker(project, settings) as worker:
                wait_for(said, 2)
                assert worker.stop() == 0
            assert "WARNING" not in service.log.read_text(), service.log.read_text()
        keys = [
            key.decode()
            for number in range(3)
            for key in reached.server.database(number).scan_iter()
        ]
    assert keys
    assert [key for key in keys if not key.startswith(f"{PREFIX}:")] == []


@for_all
def test_stages_on_one_server_do_not_meet(project: Path, tmp_path: Path) -> None:
    """Neither the cache, nor the jobs, of one are those of the other."""
    production, staging = tmp_path / "production", tmp_path / "staging"
    with valkey.running(tmp_path) as server:
        settings = {"REDIS_URL": server.url}
        other = settings | {"ENVIRONMENT": "staging"}
        with (
            start(project, *SERVE, settings=settings) as service,
            start(project, *SERVE, settings=other) as staged,
        ):
            assert use(service, production) != use(staged, staging)
            with start_worker(project, other):
                wait_for(staging, 1)
                time.sleep(1)
                assert not production.exists()


def wait_for(said: Path, count: int) -> None:
    """Return once `count` jobs have ended."""
    deadline = time.monotonic() + 30
    while not said.exists() or said.read_text().count("ended") < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
