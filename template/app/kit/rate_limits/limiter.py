"""Refuses what happens too often."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.kit.errors import ServiceError, raises
from app.kit.rate_limits.counter import RateCounter, open_counter
from app.kit.rate_limits.memory import RateLimit
from app.kit.settings import KitSettings

__all__ = ["RateLimit", "RateLimiter", "TooManyRequests", "open_rate_limiter"]


class TooManyRequests(ServiceError):
    """The caller must wait for `retry_after` seconds."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__("Too many requests; try again later.")
        self.headers = {"Retry-After": str(math.ceil(retry_after))}


@raises(TooManyRequests)
class RateLimiter:
    """Counts by key: a client IP, a user, an account."""

    def __init__(self, counter: RateCounter) -> None:
        self._counter = counter

    async def check(self, limit: RateLimit, key: str) -> None:
        """Count once. Raise TooManyRequests, and count nothing, if it exceeds the limit."""
        if wait := await self._counter.hit(limit, key):
            raise TooManyRequests(wait)

    async def reset(self, limit: RateLimit, key: str) -> None:
        """Forget the counts of a key."""
        await self._counter.reset(limit, key)


@asynccontextmanager
async def open_rate_limiter(settings: KitSettings) -> AsyncIterator[RateLimiter]:
    async with open_counter(settings) as counter:
        yield RateLimiter(counter)
