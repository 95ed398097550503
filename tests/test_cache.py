"""The response cache of services, on a real Valkey: frozen, killed, full or holding garbage."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests import probe
from tests.conftest import Rendered, ServiceSettings, as_parameter, every_pair_with, one_with
from tests.projects import run
from tests.servers import SERVE, Service, resident, signed_in, start
from tests.valkey import Valkey, load
from tests.variants import Answers, focused


@pytest.fixture
def project(installed: Rendered, variant: Answers, tmp_path: Path) -> Path:
    return probe.add(installed(**variant), tmp_path / "project", routes=probe.CACHE)


@pytest.fixture
def settings(
    variant: Answers, settings_of: ServiceSettings, request: pytest.FixtureRequest
) -> dict[str, str]:
    given = settings_of(variant)
    if variant["cache"] == "redis":
        given["REDIS_URL"] = request.getfixturevalue("valkey").url
        # These tests are not about deadlines, and four processes share two cores.
        given["CACHE_TIMEOUT"] = "5"
    return given


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=300)
    async with httpx2.AsyncClient(base_url=service.url, timeout=30, limits=limits) as client:
        yield client


async def check_users(service: Service) -> None:
    """Request as 450 users, one by one and concurrently: each gets their own response."""
    async with client_of(service) as client:

        async def ask(user: int) -> None:
            response = await client.get("/probe/mine", headers={"X-User": str(user)})
            assert response.json()["user"] == user

        for user in range(300):
            await ask(user)
        await asyncio.gather(*(ask(user) for user in range(150, 450)))
        await asyncio.gather(*(ask(user) for user in range(450)))
        assert (await client.get("/probe/mine")).status_code == 401


async def cold(service: Service) -> set[tuple[int, int]]:
    """Return the computations of 200 concurrent requests."""
    async with client_of(service) as client:
        responses = await asyncio.gather(*(client.get("/probe/slow") for _ in range(200)))
    assert {response.status_code for response in responses} == {200}
    return {(response.json()["process"], response.json()["number"]) for response in responses}


@every_pair_with(cache="redis")
def test_two_workers_share_responses_of_each_user(
    project: Path, settings: dict[str, str], valkey: Valkey
) -> None:
    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        asyncio.run(check_users(service))
        assert len(asyncio.run(cold(service))) <= 2  # one per process
        asyncio.run(cold(service))
        held: list[Any] = [valkey.client.get(key) for key in valkey.client.scan_iter()]
        # All but those for which a busy server took too long.
        assert sum(b"process" in value for value in held) > 400
        assert not any(b"never to be stored" in value for value in held)
        assert service.stop() in (0, -15, 143)
        log = service.log.read_text()
    assert '"hits": ' in log  # each process logs its statistics when it stops
    assert "Traceback" not in log


@every_pair_with(cache="memory")
def test_memory_cache_is_bounded(project: Path, settings: dict[str, str]) -> None:
    settings |= {"CACHE_MAX_BYTES": str(2**22)}
    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(check_users(service))
        assert len(asyncio.run(cold(service))) == 1

        async def fill(first: int, last: int) -> None:
            async with client_of(service) as client:
                for number in range(first, last):
                    assert (await client.get(f"/probe/large?number={number}")).status_code == 200

        asyncio.run(fill(0, 1000))
        before = resident(service)
        asyncio.run(fill(1000, 3000))  # 20 MB more than the limit
        assert resident(service) - before < 8 * 2**20
        service.stop()


@one_with(cache="memory")
def test_warning_about_several_workers_without_a_shared_cache(
    project: Path, settings: dict[str, str]
) -> None:
    with start(project, *SERVE, "--workers", "2", settings=settings) as service:
        service.stop()
        assert "each worker has its own cache" in service.log.read_text()


@every_pair_with(cache="redis")
def test_invalidation_reaches_every_process(project: Path, settings: dict[str, str]) -> None:
    headers = {"X-User": "7"}
    with (
        start(project, *SERVE, settings=settings) as one,
        start(project, *SERVE, settings=settings) as other,
        httpx2.Client(base_url=one.url, headers=headers) as at_one,
        httpx2.Client(
            base_url=other.url, headers={**headers, "Host": at_one.base_url.netloc.decode()}
        ) as at_other,
    ):
        first = at_one.get("/probe/mine").json()
        assert at_other.get("/probe/mine").json() == first
        for forgetting in (at_one, at_other) * 5:
            assert forgetting.post("/probe/forget/user:7").status_code == 200
            assert at_other.get("/probe/mine").json() != first
            assert at_one.get("/probe/mine").json() != first
            time.sleep(0.6)  # the allowed difference between the clocks of two processes
            first = at_other.get("/probe/mine").json()
            assert at_one.get("/probe/mine").json() == first
        one.stop()
        other.stop()


@pytest.mark.parametrize(
    "variant",
    [
        as_parameter(each)
        for cache in ("memory", "redis")
        for each in focused(database="sqlite", cache=cache)
    ],
    indirect=True,
)
def test_request_after_a_change_sees_it(
    project: Path, variant: Answers, settings: dict[str, str]
) -> None:
    """Also while concurrent requests, some begun before the change, read the same profile."""
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)

    async def change_and_read(service: Service) -> None:
        async with signed_in(service) as client:
            done = False

            async def read() -> None:
                while not done:
                    await client.get("/profile")

            readers = [asyncio.create_task(read()) for _ in range(4)]
            for number in range(50):
                await client.patch("/profile", json={"full_name": str(number)})
                await asyncio.sleep(0.03)
                seen = (await client.get("/profile")).json()["full_name"]
                assert seen == str(number)
            done = True
            await asyncio.gather(*readers)

    with start(project, *SERVE, settings=settings) as service:
        asyncio.run(change_and_read(service))
        service.stop()


async def slowest(
    service: Service, seconds: float, meanwhile: Callable[[], object] = lambda: None
) -> float:
    """Send requests for `seconds`, call `meanwhile` halfway; return the slowest response time."""
    longest = 0.0
    async with client_of(service) as client:
        done = False

        async def ask(user: int) -> None:
            nonlocal longest
            while not done:
                started = time.monotonic()
                response = await client.get("/probe/mine", headers={"X-User": str(user)})
                longest = max(longest, time.monotonic() - started)
                assert response.status_code == 200, response.text
                assert response.json()["user"] == user
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(ask(user)) for user in range(8)]
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(meanwhile)
        await asyncio.sleep(seconds / 2)
        done = True
        await asyncio.gather(*tasks)
    return longest


def is_cached(service: Service) -> bool:
    """Return whether two responses are one computation."""
    numbers = [
        httpx2.get(f"{service.url}/probe/mine", headers={"X-User": "1"}, timeout=30).json()[
            "number"
        ]
        for _ in range(2)
    ]
    return bool(numbers[0] == numbers[1])


def wait_until_cached(service: Service) -> None:
    """Return when responses are cached: after an outage the store is not asked for two seconds."""
    deadline = time.monotonic() + 10
    while not is_cached(service):
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.2)


def wait_until_available(service: Service, times: int) -> None:
    """Return when the log has said so often that the cache is available again."""
    deadline = time.monotonic() + 20
    while service.log.read_text().count("cache available again") < times:
        assert time.monotonic() < deadline
        is_cached(service)
        time.sleep(0.2)


@every_pair_with(cache="redis")
def test_outage_of_the_server_slows_no_response(
    project: Path, settings: dict[str, str], valkey: Valkey
) -> None:
    """Down, frozen, killed, restarted, full, holding garbage: no response takes a second."""
    del settings["CACHE_TIMEOUT"]
    if "DATABASE_URL" in settings:  # an empty one is not ready
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    valkey.kill()
    with start(project, *SERVE, settings=settings) as service:
        assert asyncio.run(slowest(service, 1)) < 1
        assert not is_cached(service)
        assert httpx2.get(f"{service.url}/readyz", timeout=30).status_code == 200
        valkey.start()
        assert asyncio.run(slowest(service, 5)) < 1
        wait_until_cached(service)

        assert asyncio.run(slowest(service, 3, valkey.freeze)) < 1
        assert not is_cached(service)
        valkey.thaw()
        assert asyncio.run(slowest(service, 5)) < 1
        wait_until_cached(service)

        assert asyncio.run(slowest(service, 3, valkey.kill)) < 1
        valkey.start()
        assert asyncio.run(slowest(service, 5)) < 1
        wait_until_cached(service)

        def replace_responses() -> None:
            for key in valkey.client.scan_iter():
                if not key.endswith(b":all") and b":tag:" not in key:
                    valkey.client.set(key, b"garbage")

        def replace_all() -> None:
            for key in valkey.client.scan_iter():
                valkey.client.set(key, b"garbage")

        assert asyncio.run(slowest(service, 1, replace_responses)) < 1
        wait_until_cached(service)
        assert asyncio.run(slowest(service, 1, replace_all)) < 1

        valkey.client.flushall()
        wait_until_available(service, 1)  # flapping is one outage, until some seconds without one
        valkey.client.config_set("maxmemory", "1")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            valkey.client.set("x", "y")
        # A server that takes no change may hold what is outdated: it is noticed within a second.
        assert asyncio.run(slowest(service, 2)) < 1
        assert not is_cached(service)
        valkey.client.config_set("maxmemory", "0")
        wait_until_available(service, 2)
        service.stop()
        log = service.log.read_text()
    assert "cache unavailable: " in log
    assert "command not allowed when used memory" in log
    assert "Traceback" not in log


@every_pair_with(cache="redis")
def test_invalidation_survives_an_outage_of_the_server(
    project: Path, settings: dict[str, str], valkey: Valkey
) -> None:
    """A response stored before a change is never served again, not even after the outage."""
    del settings["CACHE_TIMEOUT"]
    headers = {"X-User": "7"}
    with (
        start(project, *SERVE, settings=settings) as service,
        httpx2.Client(base_url=service.url, headers=headers) as client,
    ):
        old = client.get("/probe/mine").json()
        assert client.get("/probe/mine").json() == old
        valkey.freeze()
        started = time.monotonic()
        assert client.post("/probe/forget/user:7").status_code == 200
        assert time.monotonic() - started < 1
        seen = [client.get("/probe/mine").json()["number"] for _ in range(3)]
        valkey.thaw()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and len(seen) == len(set(seen)):
            seen.append(client.get("/probe/mine").json()["number"])
            time.sleep(0.05)
        assert old["number"] not in seen
        assert len(seen) > len(set(seen)), "responses are cached again"
        service.stop()


@every_pair_with(cache="redis")
def test_deployment_does_not_read_responses_of_an_old_schema(
    project: Path, settings: dict[str, str]
) -> None:
    def ask(service: Service) -> dict[str, Any]:
        headers = {"X-User": "7", "Host": "service.example"}
        shown: dict[str, Any] = httpx2.get(
            f"{service.url}/probe/mine", headers=headers, timeout=30
        ).json()
        return shown

    with start(project, *SERVE, settings=settings) as service:
        before = ask(service)
        service.stop()
    with start(project, *SERVE, settings=settings) as service:
        assert ask(service) == before
        service.stop()
    routes = project / "app/probe/routes.py"
    routes.write_text(
        routes.read_text().replace("    process: int\n", "    process: int\n    new: bool = True\n")
    )
    with start(project, *SERVE, settings=settings) as service:
        assert ask(service)["new"] is True
        service.stop()


def test_missing_binaries_name_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = load()
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(module.NoValkey) as raised, module.running():
        pass
    said = str(raised.value).format(variable="REDIS_URL")
    assert "set REDIS_URL to its URL" in said
    assert "docker run" in said


@one_with(cache="redis")
def test_suite_runs_on_a_given_server_and_leaves_it_unchanged(
    installed: Rendered, variant: Answers, valkey: Valkey
) -> None:
    valkey.client.set("precious", "1")
    run(
        installed(**variant),
        *("uv", "run", "pytest", "tests/kit/cache"),
        settings={"TEST_REDIS_URL": valkey.url},
    )
    assert valkey.client.get("precious") == b"1"
    others = [key for key in valkey.client.scan_iter() if not key.startswith(b"test-")]
    assert others == [b"precious"]
    without_expiry = -1
    assert all(
        valkey.client.ttl(key) != without_expiry for key in valkey.client.scan_iter("test-*")
    )
