"""Stores bytes by key in Redis or Valkey, shared by all workers. No request waits for an outage."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LinkLost

from app.kit.outages import Outage
from app.kit.redis import open_redis
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0  # after a failure, fail fast for this long
_MAX_BATCH = 500
_CHECK_SECONDS = 1.0  # between checks that the server takes writes

_Command = tuple[Any, ...]


class StoreUnavailable(Exception):
    """The store does not answer or refuses a command."""


class _Batch:
    """Commands of the same moment, sent as one pipeline."""

    def __init__(self) -> None:
        self.commands: list[_Command] = []
        self.reads: dict[str, int] = {}
        """The position of each name's value; a name is read once for all its callers."""
        self.answers: asyncio.Task[list[Any] | None] | None = None
        self.passes_breaker = False


class Store:
    """Each batch of commands has one deadline. After a failure a circuit breaker opens.

    A server that refuses writes (full, a replica) counts as failed: what it holds may be outdated.
    """

    def __init__(self, redis: Redis, prefix: str, timeout: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._timeout = timeout
        self._batch: _Batch | None = None
        self._outage = Outage(logger, "cache")
        self._failing = False
        self._paused_until = 0.0
        self._answered_at = 0.0
        self._checked_at = -_CHECK_SECONDS

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None for each missing key. Raise StoreUnavailable."""
        batch = self._open_batch()
        names = [self._prefixed(key) for key in keys]
        for name in names:
            batch.reads.setdefault(name, len(batch.reads))
        answers = await self._answers(batch)
        return [_value(answers[batch.reads[name]]) for name in names]

    async def add(self, keys: Sequence[str], value: bytes, expire: float) -> list[bytes]:
        """Set the missing keys for `expire` seconds; return the values of all keys.

        Raise StoreUnavailable.
        """
        names = [self._prefixed(key) for key in keys]
        lifetime = _milliseconds(expire)
        commands: list[_Command] = [("SET", name, value, "NX", "PX", lifetime) for name in names]
        answers = await self._send(*commands, *(("GET", name) for name in names))
        return [_value(found) or value for found in answers[len(names) :]]

    async def write(
        self, key: str, value: bytes, expire: float, outlived_by: Sequence[str]
    ) -> None:
        """Set a key for `expire` seconds; the keys in `outlived_by` must not expire before it.

        Raise StoreUnavailable.
        """
        longer = [
            ("PEXPIRE", self._prefixed(each), _milliseconds(2 * expire), "GT")
            for each in outlived_by
        ]
        await self._send(("SET", self._prefixed(key), value, "PX", _milliseconds(expire)), *longer)

    async def change(self, keys: Sequence[str], value: bytes, expire: float) -> None:
        """Set the keys, even if the circuit breaker is open. Raise StoreUnavailable.

        They are deleted first, which a full server allows: other workers then find no version, and
        need not wait until they notice that it is full.
        """
        names = [self._prefixed(key) for key in keys]
        lifetime = _milliseconds(expire)
        commands: list[_Command] = [("SET", name, value, "PX", lifetime) for name in names]
        await self._send(*(("DEL", name) for name in names), *commands, passes_breaker=True)

    def _prefixed(self, key: str) -> str:
        return f"{self._prefix}:cache:{key}"

    async def _send(self, *commands: _Command, passes_breaker: bool = False) -> list[Any]:
        batch = self._open_batch()
        batch.passes_breaker |= passes_breaker
        first = len(batch.commands)
        batch.commands += commands
        answers = await self._answers(batch)
        # The values of reads come first.
        mine = answers[len(batch.reads) :][first : first + len(commands)]
        for answer in mine:
            if isinstance(answer, Exception):  # out of memory, a replica
                raise StoreUnavailable("refused") from answer
        return mine

    def _open_batch(self) -> _Batch:
        batch = self._batch
        if batch is None or len(batch.commands) + len(batch.reads) >= _MAX_BATCH:
            batch = self._batch = _Batch()
            batch.answers = asyncio.create_task(self._execute(batch))
        return batch

    async def _answers(self, batch: _Batch) -> list[Any]:
        assert batch.answers is not None
        # A cancelled caller must not cancel the batch.
        answers = await asyncio.shield(batch.answers)
        if answers is None:
            raise StoreUnavailable("no answer")
        return answers

    async def _execute(self, batch: _Batch) -> list[Any] | None:
        """Return the answers, None if they do not arrive in time."""
        await asyncio.sleep(0)  # let other callers join the batch
        if self._batch is batch:
            self._batch = None
        loop = asyncio.get_running_loop()
        if self._failing and not batch.passes_breaker:
            if loop.time() < self._paused_until:
                return None
            # This batch tries again, others fail fast.
            self._paused_until = loop.time() + _PAUSE_SECONDS
        checks = loop.time() - self._checked_at >= _CHECK_SECONDS
        check = [("SET", self._prefixed("check"), b"", "PX", 60_000)] if checks else []
        reads = (("GET", name) for name in batch.reads)
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                answers = await self._run([*check, *reads, *batch.commands])
            if checks and isinstance(answers[0], Exception):
                raise StoreUnavailable("it refuses writes") from answers[0]
        except Exception as error:  # the client raises ValueError for an invalid reply
            late = loop.time() - (deadline.when() or 0)
            silent = loop.time() - self._answered_at
            busy = late > self._timeout or silent < 2 * self._timeout
            # A busy process may have missed an answer that arrived in time.
            if not (busy and isinstance(error, TimeoutError)):
                refused = isinstance(error, StoreUnavailable)
                self._outage.fail((refused and error.__cause__) or error)
                self._failing = True
                self._paused_until = loop.time() + _PAUSE_SECONDS
            return None
        self._answered_at = loop.time()
        if checks:
            self._checked_at = loop.time()
        self._failing = False
        self._outage.succeed()
        return answers[len(check) :]

    async def _run(self, commands: Sequence[_Command]) -> list[Any]:
        """Return the answers. If the link is dead, the others are too: try once on a new one."""
        try:
            return await self._execute_pipeline(commands)
        except LinkLost:
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            return await self._execute_pipeline(commands)

    async def _execute_pipeline(self, commands: Sequence[_Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)


def _value(answer: Any) -> bytes | None:
    """Return a key's value, None if it is missing. Raise StoreUnavailable if the server refused."""
    if answer is None or isinstance(answer, bytes):
        return answer
    raise StoreUnavailable("refused") from answer if isinstance(answer, Exception) else None


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


@asynccontextmanager
async def open_store(settings: KitSettings) -> AsyncIterator[Store]:
    """Open the store. It connects with the first command."""
    async with open_redis(settings, settings.cache_max_connections) as redis:
        yield Store(redis, settings.key_prefix, settings.cache_timeout)
