"""Bytes by key, in Redis or Valkey: all workers share them, and none waits for a server that is not well."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError, ResponseError

from app.settings import Settings

logger = logging.getLogger(__name__)

_PAUSE = 2.0
"""Seconds for which a server that did not answer is not asked again."""
_TAG_LIFETIME = 86_400
_MAX_BATCH = 1000

_Command = tuple[Any, ...]


class StoreUnavailable(Exception):
    """The store does not answer, or refuses."""


class _Batch:
    """Commands that are sent in the same moment travel together, as one pipeline."""

    def __init__(self) -> None:
        self.commands: list[_Command] = []
        self.answers: asyncio.Task[list[Any] | None] | None = None


class Store:
    """Each batch of commands has one deadline. After a failure a circuit breaker spares the others theirs."""

    def __init__(self, redis: Redis, prefix: str, timeout: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._timeout = timeout
        self._batch: _Batch | None = None
        self._failing = False
        self._paused_until = 0.0

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None for each that is not there. Raises StoreUnavailable."""
        (values,) = await self._send(("MGET", *map(self._named, keys)))
        return list(values)

    async def add(self, keys: Sequence[str], value: bytes) -> list[bytes]:
        """Set those that are not there; return what all of them are now. Raises StoreUnavailable."""
        names = [self._named(key) for key in keys]
        set_new = [("SET", name, value, "NX", "EX", _TAG_LIFETIME) for name in names]
        *_, values = await self._send(*set_new, ("MGET", *names))
        return [found or value for found in values]

    async def write(
        self, key: str, value: bytes, expire: float, outlived_by: Sequence[str]
    ) -> None:
        """Set one for `expire` seconds; `outlived_by` are keys that must stay at least as long.

        Raises StoreUnavailable.
        """
        lifetime = max(_TAG_LIFETIME, int(2 * expire))
        longer = [("EXPIRE", self._named(each), lifetime, "GT") for each in outlived_by]
        await self._send(("SET", self._named(key), value, "PX", int(expire * 1000)), *longer)

    async def delete(self, keys: Sequence[str]) -> None:
        """Raises StoreUnavailable."""
        await self._send(("UNLINK", *map(self._named, keys)))

    def _named(self, key: str) -> str:
        return f"{self._prefix}:cache:{key}"

    async def _send(self, *commands: _Command) -> list[Any]:
        batch = self._batch
        if batch is None or len(batch.commands) >= _MAX_BATCH:
            batch = self._batch = _Batch()
            batch.answers = asyncio.create_task(self._execute(batch))
        first = len(batch.commands)
        batch.commands += commands
        assert batch.answers is not None
        # Who goes away takes nobody's answer along.
        answers = await asyncio.shield(batch.answers)
        if answers is None:
            raise StoreUnavailable("it does not answer")
        mine = answers[first : first + len(commands)]
        for answer in mine:
            if isinstance(answer, ResponseError):  # out of memory, a replica
                raise StoreUnavailable("it refuses") from answer
        return mine

    async def _execute(self, batch: _Batch) -> list[Any] | None:
        """Return the answers, None if there are none in time."""
        await asyncio.sleep(0)  # the others of this moment join
        if self._batch is batch:
            self._batch = None
        loop = asyncio.get_running_loop()
        if self._failing:
            if loop.time() < self._paused_until:
                return None
            self._paused_until = loop.time() + _PAUSE  # this one tries, the others go on without
        pipeline = self._redis.pipeline(transaction=False)
        for command in batch.commands:
            pipeline.execute_command(*command)
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                answers = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            late = loop.time() - (deadline.when() or 0)
            if not isinstance(error, TimeoutError) or late < self._timeout:
                self._fail(error)  # else this process was too busy to see the answer
            return None
        if self._failing:
            logger.warning("the cache answers again")
            self._failing = False
        return answers

    def _fail(self, error: Exception) -> None:
        self._paused_until = asyncio.get_running_loop().time() + _PAUSE
        if not self._failing:
            logger.warning("the cache does not answer, serving without it: %r", error)
        self._failing = True


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store. No connection is made before the first command."""
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=settings.cache_max_connections,
        # The store has one deadline for all of it; the client's own defaults try again for seconds.
        timeout=None,
        retry=None,
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    async with Redis.from_pool(pool) as redis:
        yield Store(redis, settings.redis_prefix, settings.cache_timeout)
