"""Rendered services behind a real PgBouncer, which pools sessions or transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests import pgbouncer as poolers
from tests import probe
from tests.conftest import Rendered, ServiceSettings, as_parameter
from tests.debian import Program
from tests.projects import run
from tests.servers import SERVE, Service, signed_in, start, start_worker
from tests.test_jobs import Queue, Server
from tests.variants import Answers, focused

MODES = ("session", "transaction")
VARIANTS = [
    as_parameter(focused(lifecycle=lifecycle, database="postgresql", jobs=jobs)[0])
    for lifecycle, jobs in (("depends", "none"), ("clean-ioc", "postgresql"), ("dishka", "redis"))
]
SIZES = {"session": 30, "transaction": 2}
"""Connections of the pooler: in transaction mode, fewer than the service opens."""


def settings_behind(pooled: str, mode: str, settings: dict[str, str]) -> dict[str, str]:
    direct = {"DATABASE_DIRECT_URL": settings["DATABASE_URL"]} if mode == "transaction" else {}
    behind = {"DATABASE_URL": pooled, "DATABASE_POOLER": mode, "DATABASE_POOL_SIZE": "5"}
    return {**settings, **behind, **direct}


async def use(service: Service) -> None:
    """Register, sign in, change and read a profile, eight at once; list the users as one of them.

    Each sees their own data in every response.
    """

    async def person(number: int) -> str:
        async with signed_in(service) as client:
            for turn in range(20):
                name = f"{number} in turn {turn}"
                changed = await client.patch("/profile", json={"full_name": name})
                assert changed.status_code == 200, changed.text
                profiles = await asyncio.gather(*(client.get("/profile") for _ in range(3)))
                assert [each.status_code for each in profiles] == [200] * 3, profiles[0].text
                assert {each.json()["full_name"] for each in profiles} == {name}
            return str(profiles[0].json()["email"])

    emails = await asyncio.gather(*(person(number) for number in range(8)))
    assert len(set(emails)) == 8


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", VARIANTS, indirect=True)
def test_service_works_behind_a_pooler(
    installed: Rendered,
    variant: Answers,
    settings_of: ServiceSettings,
    pgbouncer: Program,
    mode: str,
    tmp_path: Path,
) -> None:
    has_jobs = variant["jobs"] != "none"
    project = installed(**variant)
    if has_jobs:
        project = probe.add(project, tmp_path / "project", **probe.JOBS)
    settings = settings_of(variant)
    url = settings["DATABASE_URL"]
    with poolers.running(pgbouncer, url, mode=mode, size=SIZES[mode]) as pooler:
        settings = settings_behind(pooler.url, mode, settings)
        command = ("uv", "run", "python", "-m", "app")
        run(project, *command, "migrate", settings=settings)
        run(project, *command, "migrate", settings=settings)
        with start(project, *SERVE, settings=settings) as service:
            assert httpx2.get(f"{service.url}/readyz").status_code == 200
            asyncio.run(use(service))
            service.stop()
            assert service.errors() == []
        if has_jobs:
            queue = Queue(project, settings, Server(pooler.kill, pooler.start, lambda _: None))
            with start_worker(project, settings) as worker:
                queue.enqueue(50)
                queue.wait_for("ended", 50, within=60)
                worker.stop()
                assert "queue unavailable" not in worker.log.read_text()


@asynccontextmanager
async def open_transaction(url: str) -> AsyncIterator[None]:
    """Hold a connection of the pooler."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        async with connection.transaction():
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
def test_service_recovers_from_a_pooler_that_was_down_or_full(
    installed: Rendered,
    variant: Answers,
    settings_of: ServiceSettings,
    pgbouncer: Program,
    mode: str,
) -> None:
    project = installed(**variant)
    settings = settings_of(variant)
    url = settings["DATABASE_URL"]
    with poolers.running(pgbouncer, url, mode=mode, size=SIZES[mode]) as pooler:
        settings = settings_behind(pooler.url, mode, settings)
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)

        async def faults(service: Service) -> None:
            async with signed_in(service) as client:

                async def both() -> set[int]:
                    read = await client.get("/profile")
                    write = await client.patch("/profile", json={"full_name": "x"})
                    return {read.status_code, write.status_code}

                assert await both() == {200}
                pooler.kill()
                assert await both() == {503}
                await asyncio.to_thread(pooler.start)
                assert await both() == {200}
                if mode == "transaction":
                    async with AsyncExitStack() as stack:
                        for _ in range(SIZES[mode]):
                            await stack.enter_async_context(open_transaction(pooler.url))
                        assert await both() == {503}
                    assert await both() == {200}

        with start(project, *SERVE, settings=settings) as service:
            asyncio.run(faults(service))
