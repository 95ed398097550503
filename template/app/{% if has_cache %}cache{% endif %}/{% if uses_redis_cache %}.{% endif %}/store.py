"""Bytes by key, in Redis or Valkey: all workers share them, and none waits for a server that is not well."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis

from app.settings import Settings

logger = logging.getLogger(__name__)

_PAUSE = 2.0
"""Seconds for which a server that did not answer is not asked again."""
_MAX_BATCH = 500

_Command = tuple[Any, ...]


class StoreUnavailable(Exception):
    """The store does not answer, or refuses."""


class _Batch:
    """Commands that are sent in the same moment travel together, as one pipeline."""

    def __init__(self) -> None:
        self.commands: list[_Command] = []
        self.reads: dict[str, int] = {}
        """Names that are read, each once however many want it, and where their values come."""
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
        self._answered_at = 0.0

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None for each that is not there. Raises StoreUnavailable."""
        batch = self._open_batch()
        names = [self._named(key) for key in keys]
        for name in names:
            batch.reads.setdefault(name, len(batch.reads))
        answers = await self._answers(batch)
        return [_value(answers[batch.reads[name]]) for name in names]

    async def add(self, keys: Sequence[str], value: bytes, expire: float) -> list[bytes]:
        """Set those that are not there, for `expire` seconds; return what all of them are now.

        Raises StoreUnavailable.
        """
        names = [self._named(key) for key in keys]
        lifetime = _milliseconds(expire)
        commands: list[_Command] = [("SET", name, value, "NX", "PX", lifetime) for name in names]
        answers = await self._send(*commands, *(("GET", name) for name in names))
        return [_value(found) or value for found in answers[len(names) :]]

    async def write(
        self, key: str, value: bytes, expire: float, outlived_by: Sequence[str]
    ) -> None:
        """Set one for `expire` seconds; `outlived_by` are keys that must stay at least as long.

        Raises StoreUnavailable.
        """
        longer = [
            ("PEXPIRE", self._named(each), _milliseconds(2 * expire), "GT") for each in outlived_by
        ]
        await self._send(("SET", self._named(key), value, "PX", _milliseconds(expire)), *longer)

    def _named(self, key: str) -> str:
        return f"{self._prefix}:cache:{key}"

    async def _send(self, *commands: _Command) -> list[Any]:
        batch = self._open_batch()
        first = len(batch.commands)
        batch.commands += commands
        answers = await self._answers(batch)
        # The values that were read come first.
        mine = answers[len(batch.reads) :][first : first + len(commands)]
        for answer in mine:
            if isinstance(answer, Exception):  # out of memory, a replica
                raise StoreUnavailable("it refuses") from answer
        return mine

    def _open_batch(self) -> _Batch:
        batch = self._batch
        if batch is None or len(batch.commands) + len(batch.reads) >= _MAX_BATCH:
            batch = self._batch = _Batch()
            batch.answers = asyncio.create_task(self._execute(batch))
        return batch

    async def _answers(self, batch: _Batch) -> list[Any]:
        assert batch.answers is not None
        # Who goes away takes nobody's answer along.
        answers = await asyncio.shield(batch.answers)
        if answers is None:
            raise StoreUnavailable("it does not answer")
        return answers

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
        for command in (*(("GET", name) for name in batch.reads), *batch.commands):
            pipeline.execute_command(*command)
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                answers = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever it says: the client raises ValueError for nonsense
            late = loop.time() - (deadline.when() or 0)
            silent = loop.time() - self._answered_at
            busy = late > self._timeout or silent < 2 * self._timeout
            if not (busy and isinstance(error, TimeoutError)):
                self._fail(error)  # else this process may have been too busy to see the answer
            return None
        self._answered_at = loop.time()
        if self._failing:
            logger.warning("the cache answers again")
            self._failing = False
        return answers

    def _fail(self, error: Exception) -> None:
        self._paused_until = asyncio.get_running_loop().time() + _PAUSE
        if not self._failing:
            logger.warning("the cache does not answer, serving without it: %r", error)
        self._failing = True


def _value(answer: Any) -> bytes | None:
    """Return what a key holds, None for nothing. Raises StoreUnavailable if the server refused."""
    if answer is None or isinstance(answer, bytes):
        return answer
    raise StoreUnavailable("it refuses") from answer if isinstance(answer, Exception) else None


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


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
