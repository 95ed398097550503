"""Counts that all workers share."""

import pytest

from app.kit.rate_limits import RateLimit, TooManyRequests, open_rate_limiter
from app.settings import Settings

LIMIT = RateLimit("test", 4, 3600)


async def test_workers_share_the_counts(settings: Settings) -> None:
    async with open_rate_limiter(settings) as one, open_rate_limiter(settings) as other:
        for limiter in (one, other, one, other):
            await limiter.check(LIMIT, "ada@example.com")
        for limiter in (one, other):
            with pytest.raises(TooManyRequests) as refused:
                await limiter.check(LIMIT, "ada@example.com")
            assert 1 <= int(refused.value.headers["Retry-After"]) <= 7200
        await one.check(LIMIT, "grace@example.com")
        await other.reset(LIMIT, "ada@example.com")
        await one.check(LIMIT, "ada@example.com")


async def test_each_worker_counts_its_own_while_the_server_is_down(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lost = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_rate_limiter(lost) as limiter:
        for _ in range(4):
            await limiter.check(LIMIT, "ada@example.com")
        with pytest.raises(TooManyRequests):
            await limiter.check(LIMIT, "ada@example.com")
        await limiter.reset(LIMIT, "ada@example.com")
        await limiter.check(LIMIT, "ada@example.com")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "refused" in caplog.text.lower() or "connect" in caplog.text.lower()
