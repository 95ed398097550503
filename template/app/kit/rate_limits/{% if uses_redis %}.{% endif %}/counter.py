"""The counter of this service: all workers share it in Redis or Valkey."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from app.kit.outages import Outage
from app.kit.rate_limits.memory import MemoryCounter, RateLimit
from app.kit.redis import open_redis
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 0.25
_PAUSE_SECONDS = 2.0  # after a failure, count in this process for this long
_MAX_CONNECTIONS = 10


class RateCounter:
    """Counts by the sliding window of `limits`; while the server is down, in this worker alone.

    Keys are hashed: they may name people.
    """

    def __init__(self, storage: RedisStorage) -> None:
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = MemoryCounter()
        self._outage = Outage(logger, "counts of rate limits in the server")
        self._paused_until = 0.0

    async def hit(self, limit: RateLimit, key: str) -> float:
        """Count and return 0, or count nothing and return the seconds until it may happen again."""
        if time.monotonic() >= self._paused_until:
            started = time.monotonic()
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    wait = await self._hit(_item(limit), _digest(key))
            except Exception as error:  # the client raises ValueError for an invalid reply
                # A process that is busy for so long may have missed an answer in time.
                if time.monotonic() - started < 2 * _TIMEOUT_SECONDS:
                    self._fail(error)
            else:
                self._outage.succeed()
                return wait
        return await self._own.hit(limit, key)

    async def reset(self, limit: RateLimit, key: str) -> None:
        await self._own.reset(limit, key)
        if time.monotonic() >= self._paused_until:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await self._shared.clear(_item(limit), _digest(key))
            except Exception as error:
                self._fail(error)

    async def _hit(self, item: RateLimitItem, digest: str) -> float:
        if await self._shared.hit(item, digest):
            return 0.0
        stats = await self._shared.get_window_stats(item, digest)
        return max(1.0, stats.reset_time - time.time())

    def _fail(self, error: Exception) -> None:
        self._outage.fail(error)
        self._paused_until = time.monotonic() + _PAUSE_SECONDS


def _item(limit: RateLimit) -> RateLimitItem:
    return RateLimitItemPerSecond(limit.limit, limit.seconds, limit.name)


def _digest(key: str) -> str:
    return sha256(key.encode(errors="replace")).hexdigest()[:32]


@asynccontextmanager
async def open_counter(settings: KitSettings) -> AsyncIterator[RateCounter]:
    """Open the counter. It connects with the first count."""
    async with open_redis(settings, _MAX_CONNECTIONS) as redis:
        options: dict[str, Any] = {"connection_pool": redis.connection_pool}
        prefix = f"{settings.key_prefix}:limits"
        yield RateCounter(
            RedisStorage("async+redis://", implementation="redispy", key_prefix=prefix, **options)
        )
