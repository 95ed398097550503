"""WebSockets of running services: several processes, hundreds of clients, and a failing Valkey."""

import asyncio
import functools
import itertools
import json
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import probe
from tests.conftest import Rendered, ServiceSettings, every_pair_with, one_with
from tests.projects import run
from tests.servers import SERVE, Service, children, resident, signed_in, start
from tests.valkey import Valkey
from tests.variants import Answers

FAST = {"WEBSOCKET_RATE": "10000", "WEBSOCKET_BURST": "10000", "SHUTDOWN_TIMEOUT": "3"}


@pytest.fixture
def project(installed: Rendered, variant: Answers) -> Path:
    return installed(**variant)


@pytest.fixture
def settings(
    project: Path, variant: Answers, settings_of: ServiceSettings, request: pytest.FixtureRequest
) -> dict[str, str]:
    given = settings_of(variant) | FAST
    if "redis" in (variant["cache"], variant["websockets"]):
        given["REDIS_URL"] = request.getfixturevalue("valkey").url
    if variant["database"] != "none":
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=given)
    return given


class Client:
    """A client and everything that it has received."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.name = ""
        self.received: list[dict[str, Any]] = []
        self.latencies: list[float] = []
        self.code: int | None = None
        self._reading = asyncio.create_task(self._read())

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.received if message["type"] == "said"]

    def has(self, text: str) -> bool:
        return text in self.texts

    async def say(self, text: str) -> None:
        await self.connection.send(json.dumps({"type": "say", "text": text}))

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                message = json.loads(text)
                self.received.append(message)
                _, _, sent_at = message.get("text", "").partition("@")
                if sent_at:
                    self.latencies.append(time.monotonic() - float(sent_at))
        except ConnectionClosed:
            pass
        self.code = self.connection.close_code


class Clients:
    """Connects clients to one or more services, as one user of each service if it has users."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._protocols: dict[str, Any] = {}

    async def join(self, service: Service, room: str = "lobby", **options: Any) -> Client:
        if service.url not in self._protocols:
            self._protocols[service.url] = await protocols_of(service)
        connection = await self._stack.enter_async_context(
            connect(
                f"ws{service.url.removeprefix('http')}/ws/{room}",
                subprotocols=self._protocols[service.url],
                compression=None,
                open_timeout=30,
                **options,
            )
        )
        client = Client(connection)
        await until(lambda: client.received)
        ready = client.received.pop(0)
        assert ready["type"] == "ready"
        client.name = ready["sender"]
        return client

    async def join_all(self, services: Sequence[Service], count: int) -> list[Client]:
        """Connect clients to the services in turn."""
        clients = []
        for number in range(count):
            clients.append(await self.join(services[number % len(services)]))
        return clients


async def protocols_of(service: Service) -> list[str] | None:
    """Return the subprotocols of a new user; None if the service has no users."""
    if "/register" not in httpx2.get(f"{service.url}/openapi.json", timeout=30).json()["paths"]:
        return None
    async with signed_in(service) as client:
        return ["bearer", client.headers["Authorization"].removeprefix("Bearer ")]


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(stack)


async def until(happened: Callable[[], object], seconds: float = 20) -> float:
    """Wait and return the seconds that it took. Raise TimeoutError after `seconds`."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic() - started


def open_files_of_workers(service: Service) -> list[int]:
    """Return the number of open files, mostly sockets, of each of two worker processes."""
    (supervisor,) = children(service.process.pid)
    counts = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in children(supervisor)]
    return sorted(counts)[-2:]  # the smallest belongs to a helper of multiprocessing


@every_pair_with(websockets="redis")
def test_200_clients_of_two_workers_receive_each_message_once_and_in_order(
    project: Path, settings: dict[str, str]
) -> None:
    async def talk(service: Service) -> None:
        async with clients() as opener:
            everybody = await opener.join_all([service], 200)
            assert min(open_files_of_workers(service)) > 30, "both workers have clients"

            async def say(sender: int) -> None:
                for number in range(25):
                    await everybody[sender].say(f"{sender}:{number}")

            await asyncio.gather(*(say(sender) for sender in range(8)))
            await until(lambda: all(len(client.texts) >= 200 for client in everybody), 60)
            await asyncio.sleep(0.3)
            for client in everybody:
                assert len(client.texts) == 200
                for sender in range(8):
                    own = [text for text in client.texts if text.startswith(f"{sender}:")]
                    assert own == [f"{sender}:{number}" for number in range(25)]
            service.process.send_signal(signal.SIGTERM)
            await until(lambda: all(client.code is not None for client in everybody))
            assert {client.code for client in everybody} == {1012}

    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        asyncio.run(talk(service))
        assert service.process.wait(30) in (0, -15, 143)
        assert not service.errors()


@every_pair_with(websockets="memory")
def test_stalled_clients_disturb_neither_others_nor_the_shutdown(
    project: Path, settings: dict[str, str]
) -> None:
    """Latencies and memory stay as they were, and SIGTERM works."""

    async def talk(service: Service) -> None:
        async with clients() as opener:
            everybody = await opener.join_all([service], 20)

            async def measure() -> float:
                for client in everybody:
                    client.latencies.clear()
                for number in range(100):
                    await everybody[number % 20].say(f"{'€' * 3900}@{time.monotonic()}")
                    await asyncio.sleep(0.02)
                await until(lambda: all(len(client.latencies) == 100 for client in everybody))
                return statistics.quantiles(
                    [each for client in everybody for each in client.latencies], n=100
                )[98]

            before = [await measure() for _ in range(3)]
            memory = resident(service)
            stalled = [await opener.join(service) for _ in range(10)]
            for client in stalled:
                client.connection.transport.pause_reading()
            during = []
            while service.log.read_text().count('"code": 1013') < 10:
                during.append(await measure())
                assert resident(service) - memory < 10_000_000
                assert len(during) < 15, "stalled clients are not closed"
            # The median, since other tests share the two cores.
            assert statistics.median(during) < 3 * statistics.median(before) + 0.2
            service.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            await asyncio.to_thread(service.process.wait, 30)
            assert time.monotonic() - started < 15
            await until(lambda: all(client.code is not None for client in everybody))
            assert {client.code for client in everybody} == {1012}
            for client in stalled:
                client.connection.transport.abort()

    # Unbounded outboxes would be several times as large. Pings must not find stalled clients first.
    settings |= {"WEBSOCKET_OUTBOX_SIZE": "200000", "WEBSOCKET_PING_INTERVAL": "600"}
    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(talk(service))


@every_pair_with(websockets="memory")
def test_reset_and_reconnecting_clients_do_not_disturb_others(
    project: Path, settings: dict[str, str]
) -> None:
    async def talk(service: Service) -> None:
        async with clients() as opener:
            sender, listener = await opener.join(service), await opener.join(service)
            done = False

            async def storm() -> None:
                while not done:
                    client = await opener.join(service)
                    await client.say("hello and goodbye")
                    client.connection.transport.abort()

            storms = [asyncio.create_task(storm()) for _ in range(8)]
            for number in range(300):
                await sender.say(f"steady {number}")
                await asyncio.sleep(0.01)
            done = True
            await asyncio.gather(*storms)
            for client in (sender, listener):
                await until(functools.partial(client.has, "steady 299"))
                steady = [text for text in client.texts if text.startswith("steady")]
                assert steady == [f"steady {number}" for number in range(300)]

    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(talk(service))
        service.stop()
        assert not service.errors()


Fault = Callable[[Valkey], Awaitable[None]]


async def links_are_cut(valkey: Valkey) -> None:
    valkey.client.client_kill_filter(_type="pubsub")


async def it_is_frozen(valkey: Valkey) -> None:
    valkey.freeze()
    await asyncio.sleep(6)
    valkey.thaw()


async def it_is_restarted(valkey: Valkey) -> None:
    valkey.kill()
    await asyncio.sleep(2)
    await asyncio.to_thread(valkey.start)


@every_pair_with(websockets="redis")
def test_lost_link_recovers(project: Path, settings: dict[str, str], valkey: Valkey) -> None:
    """Cut, frozen, killed, restarted under traffic: clients resync, and messages arrive again."""

    async def talk(services: Sequence[Service]) -> None:
        async with clients() as opener:
            everybody = await opener.join_all(services, 8)
            for fault in (links_are_cut, it_is_frozen, it_is_restarted):
                for client in everybody:
                    client.received.clear()
                talking = asyncio.create_task(traffic(everybody[:2]))
                await asyncio.sleep(0.5)
                await fault(valkey)
                took = await until(lambda: all(resync_of(client) for client in everybody), 15)
                talking.cancel()
                # A worker that could not publish announces it now.
                await asyncio.sleep(2)
                for number, sender in enumerate(everybody):
                    await sender.say(f"after {number}")
                wanted = {f"after {number}" for number in range(len(everybody))}
                await until(lambda: all(wanted <= set(each.texts) for each in everybody))  # noqa: B023
                assert took < 6, fault
                for client in everybody:
                    assert len(client.texts) == len(set(client.texts)), "received once"

    with (
        start(project, *SERVE, settings=settings) as one,
        start(project, *SERVE, settings=settings) as other,
    ):
        asyncio.run(talk([one, other]))
        for service in (one, other):
            assert service.stop() in (0, -15, 143)
            assert not service.errors()


@one_with(websockets="redis")
def test_member_is_removed_at_once_from_every_worker(
    installed: Rendered, variant: Answers, settings: dict[str, str], tmp_path: Path
) -> None:
    async def talk(service: Service) -> None:
        async with clients() as opener:
            everybody = await opener.join_all([service], 20)
            assert min(open_files_of_workers(service)) > 15, "both workers have clients"
            for client in everybody[1:]:
                path = f"/probe/rooms/lobby/members/{client.name}"
                assert httpx2.delete(f"{service.url}{path}", timeout=30).status_code == 200
                assert await until(lambda: client.code, 5) < 2  # noqa: B023
                assert client.code == 4403
            await everybody[0].say("still here")
            await until(lambda: everybody[0].has("still here"))
            assert [len(client.texts) for client in everybody[1:]] == [0] * 19

    project = probe.add(installed(**variant), tmp_path / "project", routes=probe.ROOMS)
    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        asyncio.run(talk(service))
        service.stop()
        assert not service.errors()


async def traffic(senders: Sequence[Client]) -> None:
    for number in itertools.count():
        for sender, client in enumerate(senders):
            await client.say(f"{sender}:{number}")
        await asyncio.sleep(0.05)


def resync_of(client: Client) -> bool:
    return any(message["type"] == "resync" for message in client.received)


@one_with(websockets="memory")
def test_idle_connection_takes_less_than_100_kb(project: Path, settings: dict[str, str]) -> None:
    async def sit(service: Service) -> float:
        async with clients() as opener:
            await opener.join(service)
            before = resident(service)
            for _ in range(1000):
                await opener.join(service)
            return (resident(service) - before) / 1000

    with start(project, *SERVE, settings=settings) as service:
        assert asyncio.run(sit(service)) < 100_000
        service.stop()


@every_pair_with(websockets="memory")
def test_origins_are_checked_and_connections_logged_without_secrets(
    project: Path, settings: dict[str, str]
) -> None:
    async def visit(service: Service) -> None:
        async with clients() as opener:
            with pytest.raises(InvalidStatus) as raised:
                await opener.join(service, origin="https://theirs.example")
            assert raised.value.response.status_code == 403
            client = await opener.join(service, "other?token=secret", origin="https://ours.example")
            await client.connection.close()

    settings |= {"CORS_ORIGINS": "https://ours.example"}
    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(visit(service))
        assert service.stop() in (0, -15, 143)
        assert not service.errors()
        log = service.log.read_text()
    assert "secret" not in log
    lines = [json.loads(line) for line in log.splitlines() if '"WEBSOCKET"' in line]
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/ws/lobby", 403),
        ("/ws/other", 101),
    ]
    (closed,) = (json.loads(line) for line in log.splitlines() if "connection closed" in line)
    assert (closed["room"], closed["code"]) == ("other", 1000)
    assert closed["request_id"] == lines[1]["request_id"]


@one_with(websockets="memory")
def test_warning_about_several_workers_without_a_backplane(
    project: Path, settings: dict[str, str]
) -> None:
    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        service.stop()
        assert "each worker has its own rooms" in service.log.read_text()
