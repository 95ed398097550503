"""Rendered services behind a real nginx: a prefix, and the configuration of `compose.yaml`."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests import nginx as proxies
from tests.conftest import Rendered, ServiceSettings, as_parameter
from tests.debian import Program
from tests.projects import run
from tests.servers import PASSWORD, SERVE, Service, start
from tests.variants import Answers, focused

VARIANTS = [
    as_parameter(focused(**answers)[0])
    for answers in (
        {"lifecycle": "depends", "database": "sqlite", "websockets": "memory", "docker": True},
        {"lifecycle": "clean-ioc", "database": "sqlite", "websockets": "memory", "docker": True},
    )
]
SOCKETS = [as_parameter(focused(database="none", websockets="memory", docker=True)[0])]
SIMPLE = [as_parameter(focused(database="none", websockets="none", docker=True)[0])]
UPGRADE = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    ' proxy_set_header Connection "upgrade";'
)
# What nginx does unless told otherwise: the host is `service`, the name of its upstream.
PREFIX = f"location /api/ {{ proxy_pass http://service/; {UPGRADE} }}"


def started(project: Path, settings: dict[str, str]) -> Any:
    if "DATABASE_URL" in settings:
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    return start(project, *SERVE, settings=settings)


def request_of(service: Service, path: str) -> dict[str, Any]:
    """Return what the service logs of the request for a path, once the response has been sent."""
    deadline = time.monotonic() + 10
    while not (
        found := re.findall(rf'^\{{.*"path": "{path}".*\}}$', service.log.read_text(), re.M)
    ):
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.05)
    (line,) = found
    logged: dict[str, Any] = json.loads(line)
    return logged


@pytest.mark.parametrize("variant", VARIANTS, indirect=True)
def test_service_works_below_a_prefix_that_the_proxy_removes(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, nginx: Program
) -> None:
    settings = settings_of(variant) | {"ROOT_PATH": "/api"}
    with (
        started(installed(**variant), settings) as service,
        proxies.before(nginx, service) as proxy,
        proxy.running(proxies.MINIMAL % PREFIX, live="/api") as behind,
        httpx2.Client(base_url=behind.url, timeout=30) as client,
    ):
        page = client.get("/docs").text
        for path in ("/api/openapi.json", "/api/docs/swagger-ui-bundle.js"):
            assert path in page
            assert client.get(path.removeprefix("/api")).status_code == 200
        document = client.get("/openapi.json").json()
        assert document["servers"] == [{"url": "/api"}]
        assert "/profile" in document["paths"]
        form = {"email": "ada@example.com", "password": PASSWORD}
        assert client.post("/register", json=form).status_code == 201
        token = client.post("/token", data={"username": form["email"], "password": PASSWORD})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        assert client.get("/profile", headers=headers).status_code == 200
        assert client.head("/profile", headers=headers).status_code == 200
        wrong = client.put("/profile", headers=headers)
        assert (wrong.status_code, "GET" in wrong.headers["Allow"]) == (405, True)
        # A redirect would name the host that nginx asks for.
        slash = client.get("/profile/", headers=headers)
        assert (slash.status_code, slash.headers.get("Location")) == (404, None)
        assert service.errors() == []


@pytest.mark.parametrize("variant", SOCKETS, indirect=True)
def test_sockets_work_below_a_prefix(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, nginx: Program
) -> None:
    """nginx names another host than the page of a browser: its origin has to be allowed."""

    async def visit(url: str) -> None:
        origin = f"http://{urlsplit(url).netloc}"
        room = f"{url.replace('http', 'ws')}/ws/lobby"
        async with connect(room, proxy=None, origin=None) as client:
            assert json.loads(await client.recv())["type"] == "ready"
        if allowed:
            async with connect(room, proxy=None, origin=origin) as client:  # type: ignore[arg-type]
                assert json.loads(await client.recv())["type"] == "ready"
        else:
            with pytest.raises(InvalidStatus) as raised:
                await connect(room, proxy=None, origin=origin)  # type: ignore[arg-type]
            assert raised.value.response.status_code == 403

    for allowed in (False, True):
        settings = settings_of(variant) | {"ROOT_PATH": "/api", "CORS_ORIGINS": "*" * allowed}
        with (
            started(installed(**variant), settings) as service,
            proxies.before(nginx, service) as proxy,
            proxy.running(proxies.MINIMAL % PREFIX, live="/api") as behind,
        ):
            asyncio.run(visit(behind.url))


@pytest.mark.parametrize(
    ("trusted", "through", "directly"),
    [
        ("127.0.0.1", "127.0.0.2", "127.0.0.2"),
        ("192.0.2.1", "127.0.0.1", "127.0.0.2"),
        ("*", "127.0.0.2", "192.0.2.7"),  # as in compose.yaml, where nobody reaches it directly
    ],
)
@pytest.mark.parametrize("variant", SIMPLE, indirect=True)
def test_only_a_trusted_proxy_says_who_the_client_is(
    installed: Rendered,
    variant: Answers,
    nginx: Program,
    trusted: str,
    through: str,
    directly: str,
) -> None:
    forged = {"X-Forwarded-For": "192.0.2.7"}
    project = installed(**variant)
    with (
        start(project, *SERVE, settings={"FORWARDED_ALLOW_IPS": trusted}) as service,
        proxies.before(nginx, service) as proxy,
        proxy.running((project / "nginx.conf").read_text()) as behind,
    ):
        for url, path, seen in (
            (behind.url, "/through", through),
            (service.url, "/directly", directly),
        ):
            with client_at("127.0.0.2") as client:
                assert client.get(f"{url}{path}", headers=forged).status_code == 404
            assert request_of(service, path)["client"] == seen, url


def client_at(ip: str) -> httpx2.Client:
    """Return a client with an address of its own."""
    return httpx2.Client(transport=httpx2.HTTPTransport(local_address=ip), timeout=60)


@pytest.fixture
def behind(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, nginx: Program
) -> Iterator[Service]:
    """A service behind the proxy of its `compose.yaml`."""
    project = installed(**variant)
    with (
        started(project, settings_of(variant)) as service,
        proxies.before(nginx, service) as proxy,
        proxy.running((project / "nginx.conf").read_text()) as behind,
    ):
        yield behind
        assert service.errors() == []


@pytest.mark.parametrize("variant", SIMPLE, indirect=True)
def test_what_nginx_itself_refuses_is_a_problem(behind: Service) -> None:
    """It takes the heads that the service takes: by default, nginx takes 8 kB of a line."""
    address = urlsplit(behind.url)

    def ask(head: str) -> tuple[int, str]:
        with socket.create_connection((address.hostname, address.port or 0), timeout=10) as client:
            client.sendall(f"{head}Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(partial(client.recv, 65536), b"")).decode()
        body = answer.partition("\r\n\r\n")[2]
        return int(answer.split()[1]), str(json.loads(body).get("title"))

    start = "GET /livez HTTP/1.1\r\nHost: x\r\n"
    assert ask(f"{start}Cookie: {'x' * 10_000}\r\n")[0] == 200
    assert ask(f"GET /livez?{'x' * 10_000} HTTP/1.1\r\nHost: x\r\n")[0] == 200
    refused = (431, "Request Header Fields Too Large")
    assert ask(f"{start}Cookie: {'x' * 70_000}\r\n") == refused
    assert ask(f"GET /livez?{'x' * 70_000} HTTP/1.1\r\nHost: x\r\n") == (414, "URI Too Long")
    assert ask("GET /livez HTTP/1.1\r\n") == (400, "Bad Request")
    assert ask("GET /livez HTTP/9.9\r\nHost: x\r\n") == (505, "HTTP Version Not Supported")


@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [200_000, 900_000, 20_000_000])
def test_rejected_upload_gets_its_answer(behind: Service, size: int, chunked: bool) -> None:
    """By the service up to `MAX_BODY_SIZE`, then by nginx, with the same kind of problem."""
    headers = {"Content-Type": "application/json"}
    body: Any = (b"x" * 10_000 for _ in range(size // 10_000)) if chunked else b"x" * size
    with httpx2.Client(timeout=60) as client:
        answer = client.post(f"{behind.url}/register", content=body, headers=headers)
        assert answer.status_code == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], bool(problem["request_id"])) == (413, True)
        assert client.get(f"{behind.url}/readyz").status_code == 200


@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
def test_rejected_upload_gets_its_answer_through_a_proxy_that_passes_it_on(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, nginx: Program
) -> None:
    """Without limits and buffers: a service that closed at once would be a 502 or a reset."""
    lines = (
        "client_max_body_size 0; location / {"
        " proxy_pass http://service; proxy_http_version 1.1; proxy_request_buffering off; }"
    )
    with (
        started(installed(**variant), settings_of(variant)) as service,
        proxies.before(nginx, service) as proxy,
        proxy.running(proxies.MINIMAL % lines) as behind,
        httpx2.Client(timeout=60) as client,
    ):
        headers = {"Content-Type": "application/json"}
        for size in (200_000, 20_000_000):
            for body in (b"x" * size, (b"x" * 10_000 for _ in range(size // 10_000))):
                answer = client.post(f"{behind.url}/register", content=body, headers=headers)
                assert (answer.status_code, answer.json()["status"]) == (413, 413)
        assert service.errors() == []


@pytest.mark.parametrize("variant", SIMPLE, indirect=True)
def test_client_that_asks_too_much_is_refused_alone(behind: Service) -> None:
    async def ask() -> None:
        async with AsyncExitStack() as stack:
            greedy, other = [
                await stack.enter_async_context(
                    httpx2.AsyncClient(
                        base_url=behind.url,
                        transport=httpx2.AsyncHTTPTransport(local_address=ip),
                        timeout=60,
                    )
                )
                for ip in ("127.0.0.3", "127.0.0.4")
            ]
            answers = await asyncio.gather(*(greedy.get("/livez") for _ in range(400)))
            statuses = [each.status_code for each in answers]
            assert set(statuses) == {200, 429}
            assert statuses.count(200) >= 100
            refused = next(each for each in answers if each.status_code == 429)
            assert refused.json()["title"] == "Too Many Requests"
            assert (await other.get("/livez")).status_code == 200

    asyncio.run(ask())


@pytest.mark.parametrize("variant", SOCKETS, indirect=True)
def test_one_address_holds_a_limited_number_of_sockets(behind: Service) -> None:
    """A page of the same host may connect, since nginx passes the host on."""
    room = f"{behind.url.replace('http', 'ws')}/ws/lobby"
    origin: Any = behind.url

    async def visit() -> None:
        async with AsyncExitStack() as stack:

            async def join(ip: str) -> None:
                client = connect(room, proxy=None, origin=origin, local_addr=(ip, 0))
                await stack.enter_async_context(client)

            for _ in range(100):
                await join("127.0.0.5")
                await asyncio.sleep(0.02)  # fifty a second
            with pytest.raises(InvalidStatus) as raised:
                await join("127.0.0.5")
            assert raised.value.response.status_code == 429
            await join("127.0.0.6")

    asyncio.run(visit())


@pytest.mark.parametrize("variant", SIMPLE, indirect=True)
def test_silent_client_is_disconnected(behind: Service) -> None:
    address = urlsplit(behind.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=30) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        client.recv(1024)
        assert 5 < time.monotonic() - began < 30


@pytest.mark.parametrize("variant", SIMPLE, indirect=True)
def test_service_that_is_gone_is_a_problem(
    installed: Rendered, variant: Answers, nginx: Program
) -> None:
    project = installed(**variant)
    with (
        start(project, *SERVE) as service,
        proxies.before(nginx, service) as proxy,
        proxy.running((project / "nginx.conf").read_text()) as behind,
    ):
        service.stop()
        answer = httpx2.get(f"{behind.url}/livez")
        assert (answer.status_code, answer.json()["title"]) == (502, "Bad Gateway")
