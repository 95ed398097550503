"""What carries messages to other workers: Redis or Valkey, publish and subscribe.

It has no memory: while a link is down, messages are lost. Whoever may have missed some is told to `resync`.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any
from uuid import uuid4

from redis.asyncio import BlockingConnectionPool, Redis

from app.settings import Settings

logger = logging.getLogger(__name__)

_HEARTBEAT = 1.0
"""Seconds between messages to oneself."""
_SILENCE = 3.0
"""Seconds without any message, after which the link is given up: a frozen server says nothing, and closes nothing."""
_DEADLINE = 2.0
"""Seconds to connect, to subscribe, to publish."""
_MAX_CONNECTIONS = 10
_MIN_DELAY, _MAX_DELAY = 0.05, 1.0
"""Seconds between attempts to subscribe again; the real ones are a random part of it."""
_MAX_RESYNC_DELAY = 1.0
"""Seconds."""


class Backplane:
    """One channel for all rooms: what a worker has no room for it drops."""

    on_message: Callable[[str, str], None]
    on_loss: Callable[[], None]

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._origin = uuid4().hex
        self._listening: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._resyncing: asyncio.TimerHandle | None = None
        self._tried = asyncio.Event()
        self._unsent = False
        self._retry_at = 0.0

    async def publish(self, room: str, text: str) -> None:
        """Send to the other workers, once. If that fails their clients resync when the server is back."""
        await self._publish([self._origin, room, text])

    async def listen(self) -> None:
        """Return once other workers' messages arrive or, if the server does not answer, after the first attempt."""
        self._listening = self._listening or _start(self._listen)
        self._beating = self._beating or _start(self._beat)
        await self._tried.wait()

    async def close(self) -> None:
        tasks = [task for task in (self._listening, self._beating) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._resyncing is not None:
            self._resyncing.cancel()
        if self._unsent:
            self._retry_at = 0.0
            await self._publish([self._origin])

    async def _publish(self, envelope: list[str]) -> None:
        if time.monotonic() < self._retry_at:
            self._unsent = True
            return
        unsent, self._unsent = self._unsent, False  # what fails from here on sets it again
        try:
            async with asyncio.timeout(_DEADLINE):
                if unsent:
                    await self._redis.publish(self._channel, "[]")
                    logger.warning("messages reach other workers again")
                await self._redis.publish(self._channel, json.dumps(envelope))
        except asyncio.CancelledError:
            self._failed()
            raise
        except Exception as error:  # whatever it says: the client raises ValueError for nonsense
            if not (unsent or self._unsent):  # else it was said already
                logger.warning("messages do not reach other workers: %r", error)
            self._failed()
            # What lies in the pool may be as dead, and would fail one message each.
            with suppress(Exception):
                await self._redis.connection_pool.disconnect(inuse_connections=False)

    def _failed(self) -> None:
        """Remember that something was lost; the heartbeat tells it once the server answers again."""
        self._unsent, self._retry_at = True, time.monotonic() + _HEARTBEAT
        self._beating = self._beating or _start(self._beat)

    async def _beat(self) -> None:
        while True:
            await self._publish([self._origin])
            await asyncio.sleep(_HEARTBEAT)

    async def _listen(self) -> None:
        delay, lost = _MIN_DELAY, False
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=False) as pubsub:
                    async with asyncio.timeout(_DEADLINE):
                        await pubsub.subscribe(self._channel)
                        await pubsub.get_message(timeout=None)
                    if lost:
                        logger.warning("messages of other workers arrive again")
                        self._resync_soon()
                    delay, lost = _MIN_DELAY, False
                    self._retry_at = 0.0  # the server is there again for publishing, too
                    self._tried.set()
                    while True:
                        async with asyncio.timeout(_SILENCE):
                            message = await pubsub.get_message(timeout=None)
                        if message is not None and message["type"] == "message":
                            self._receive(message["data"])
                            await asyncio.sleep(0)  # lets the connections send
            except Exception as error:
                if not lost:
                    logger.warning("messages of other workers do not arrive: %r", error)
                lost = True
                self._tried.set()
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 (no secret)
            delay = min(2 * delay, _MAX_DELAY)

    def _resync_soon(self) -> None:
        """Tell the clients once of what several workers lost, and not those of all workers at once."""
        if self._resyncing is None:
            delay = random.uniform(0.2, 1) * _MAX_RESYNC_DELAY  # noqa: S311 (no secret)
            self._resyncing = asyncio.get_running_loop().call_later(delay, self._resync)

    def _resync(self) -> None:
        self._resyncing = None
        self.on_loss()

    def _receive(self, data: bytes) -> None:
        match _parsed(data):
            case []:
                self._resync_soon()
            case [str()]:
                pass  # a heartbeat
            case [str(origin), str(room), str(text)]:
                if origin != self._origin:
                    self.on_message(room, text)
            case _:
                logger.warning("not a message of this service on %s", self._channel)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _start(job: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Run a job in a context of its own: its log lines belong to no request."""
    return asyncio.create_task(job(), context=Context())


@asynccontextmanager
async def open_backplane(settings: Settings) -> AsyncIterator[Backplane]:
    """Open the backplane. Nothing connects before there is somebody to send or to listen."""
    # The deadlines are ours; the client's own defaults try again for seconds.
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=_MAX_CONNECTIONS,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=None,
    )
    async with Redis.from_pool(pool) as redis:
        # Unlike keys, channels are the same whatever number (`/0`, `/1`) the URL ends in.
        number = pool.connection_kwargs.get("db", 0)
        backplane = Backplane(redis, f"{settings.redis_prefix}:{number}:websockets")
        try:
            yield backplane
        finally:
            await backplane.close()
