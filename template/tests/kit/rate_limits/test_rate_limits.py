"""Limits of how often something may happen."""

import math

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.kit.rate_limits import limited
from app.kit.rate_limits.memory import MemoryCounter, RateLimit

DAY = 86400


async def test_route_is_limited_for_each_client(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/search", dependencies=[limited(3, seconds=60)])
    @app.get("/other", dependencies=[limited(3, seconds=60)])
    async def search() -> None: ...

    statuses = [(await client.get("/search")).status_code for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    refused = await client.get("/search")
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert (await client.get("/other")).status_code == 200


@pytest.mark.parametrize(("limit", "seconds"), [(0, 60), (1, 0)])
def test_useless_limit_is_refused(limit: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        limited(limit, seconds=seconds)


async def test_wait_is_the_time_until_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """With four a day: four at once, then one after each announced wait, and none sooner."""
    now = DAY * 20000.0 + 3600
    monkeypatch.setattr("app.kit.rate_limits.memory.time.time", lambda: now)
    counter, limit = MemoryCounter(), RateLimit("test", 4, DAY)
    for _ in range(4):
        assert await counter.hit(limit, "ada") == 0
    for _ in range(4):
        wait = math.ceil(await counter.hit(limit, "ada"))
        assert 1 <= wait <= 2 * DAY
        now += wait - 2
        assert await counter.hit(limit, "ada") > 0
        now += 3
        assert await counter.hit(limit, "ada") == 0
    assert await counter.hit(limit, "grace") == 0
    now += 2 * DAY
    for _ in range(4):
        assert await counter.hit(limit, "ada") == 0
    await counter.reset(limit, "ada")
    assert await counter.hit(limit, "ada") == 0
