"""Examples as real services: real sockets, real signals and many rows."""

import asyncio
import signal
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import httpx2
import pytest
import trustme

from tests.conftest import Rendered, ServiceSettings, as_parameter, every_pair_with
from tests.projects import run
from tests.servers import PASSWORD, SERVE, Service, resident, start
from tests.variants import Answers, focused

EXPORTS = [
    as_parameter(each)
    for lifecycle, database in (("depends", "sqlite"), ("dishka", "postgresql"))
    for each in focused(lifecycle=lifecycle, database=database, examples=True)
]


@pytest.fixture
def project(installed: Rendered, variant: Answers) -> Path:
    return installed(**variant)


@pytest.fixture
def settings(project: Path, variant: Answers, settings_of: ServiceSettings) -> dict[str, str]:
    given = settings_of(variant)
    if variant["database"] != "none":
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=given)
    return given


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[tuple[str, list[object]]]:
    """Yield the URL of an HTTPS server, and a list to which each handshake adds one."""
    handshakes: list[object] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    context.sni_callback = lambda *_: handshakes.append(None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/", handshakes
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


AGAINST = """
import runpy, sys
from app.examples import dependencies
dependencies.EXTERNAL_URL = sys.argv[1]
sys.argv[1] = "serve"
runpy.run_module("app", run_name="__main__")
"""


@every_pair_with(examples=True)
def test_many_requests_to_another_service_cost_one_handshake(
    project: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    with tls_server(authority.issue_cert("localhost")) as (url, handshakes):
        command = ("uv", "run", "python", "-c", AGAINST, url)
        with start(project, *command, settings=settings) as service:
            for _ in range(50):
                response = httpx2.get(f"{service.url}/examples/external-health", timeout=30)
                assert response.json() == {"status": 204}
            service.stop()
            assert not service.errors()
    assert len(handshakes) == 1


@every_pair_with(examples=True)
def test_events_end_at_sigterm_and_are_taken_up_again(
    project: Path, settings: dict[str, str]
) -> None:
    settings["SHUTDOWN_TIMEOUT"] = "60"

    def ids(response: httpx2.Response) -> Iterator[int]:
        for line in response.iter_lines():
            if line.startswith("id: "):
                yield int(line.removeprefix("id: "))

    seen: list[int] = []
    for _ in range(2):
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        with (
            start(project, *SERVE, settings=settings) as service,
            httpx2.stream("GET", f"{service.url}/examples/events", headers=headers) as response,
        ):
            coming = ids(response)
            seen += [next(coming) for _ in range(3)]
            service.process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            seen += coming
            assert service.process.wait(30) in (0, -15, 143)
            assert time.monotonic() - stopped < 15
            assert not service.errors()
    assert seen == list(range(seen[0], seen[0] + len(seen)))


async def add_users(url: str, count: int) -> None:
    if url.startswith("sqlite"):
        database = sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))
        database.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
            " INSERT INTO users"
            " (id, email, password_hash, full_name, is_admin, token_version, created_at)"
            " SELECT printf('%032x', n), n || '@x.example', '', 'x', 0, 0, '2026-01-01 00:00:00'"
            " FROM n",
            (count,),
        )
        database.commit()
        database.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO users"
        " (id, email, password_hash, full_name, is_admin, token_version, created_at)"
        " SELECT lpad(to_hex(n), 32, '0')::uuid, n || '@x.example', '', 'x', false, 0, now()"
        " FROM generate_series(1, $1) n",
        count,
    )
    await connection.close()


@pytest.mark.parametrize("variant", EXPORTS, indirect=True)
def test_a_million_users_take_no_memory_and_slow_readers_no_connection(
    project: Path, settings: dict[str, str]
) -> None:
    rows = 1_000_000
    settings |= {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0"}

    async def read(service: Service) -> None:
        async with (
            httpx2.AsyncClient(base_url=service.url, timeout=60) as client,
            AsyncExitStack() as slow,
        ):
            form = {"username": "admin@x.example", "password": PASSWORD}
            await client.post("/register", json={"email": form["username"], "password": PASSWORD})
            create = "uv run python -m app create-admin admin@x.example"
            admin = ("bash", "-c", f"echo '{PASSWORD}' | {create}")
            await asyncio.to_thread(run, project, *admin, settings=settings)
            token = (await client.post("/token", data=form)).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            await add_users(settings["DATABASE_URL"], rows)

            for _ in range(10):  # begun, and never read to the end
                download = client.stream("GET", "/examples/users.csv")
                response = await slow.enter_async_context(download)
                assert await anext(response.aiter_lines()) == "id,email,full_name,created_at"
            assert (await client.get("/profile")).status_code == 200
            await slow.aclose()
            async with asyncio.timeout(10):  # they are not sent to nobody
                while service.log.read_text().count('"path": "/examples/users.csv"') < 10:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

            memory, seen, peak = resident(service), 0, 0
            async with client.stream("GET", "/examples/users.csv") as response:
                async for chunk in response.aiter_bytes():
                    before, seen = seen, seen + chunk.count(b"\n")
                    if seen // 10_000 > before // 10_000:
                        peak = max(peak, resident(service))
            assert seen == 1 + rows + 1
            assert peak - memory < 30_000_000

    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(read(service))
        assert service.stop() in (0, -15, 143)
        assert not service.errors()


CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from service_client import Client
from service_client.api.examples import examples_user_agent
headers = {"User-Agent": "generated/1"}
client = Client(base_url=sys.argv[2], headers=headers, raise_on_unexpected_status=True)
print(examples_user_agent.sync(client=client).product)
"""


@every_pair_with(examples=True)
def test_a_generated_client_calls_the_service(
    project: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    with start(project, *SERVE, settings=settings) as service:
        config = tmp_path / "config.yml"
        config.write_text("package_name_override: service_client\npost_hooks: []\n")
        generate = (
            *(sys.executable, "-m", "openapi_python_client", "generate"),
            *("--url", f"{service.url}/openapi.json", "--config", str(config)),
            *("--output-path", str(tmp_path / "client"), "--fail-on-warning"),
        )
        run(tmp_path, *generate)
        called = run(tmp_path, sys.executable, "-c", CALL, str(tmp_path / "client"), service.url)
        assert called == "generated\n"
