"""The link to other workers: publish and subscribe on Redis or Valkey.

It has no memory: what is sent while the link is down is lost, and clients are told to `resync`.
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

from redis.asyncio import Redis

from app.kit.outages import describe
from app.kit.redis import open_redis
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 1.0
# A frozen server neither answers nor closes: give the link up after this long without a message.
_SILENCE_SECONDS = 3.0
_DEADLINE_SECONDS = 2.0  # to connect, to subscribe, to publish
_MAX_CONNECTIONS = 10
_MIN_DELAY_SECONDS, _MAX_DELAY_SECONDS = 0.05, 1.0  # between attempts to subscribe, with jitter
_MAX_RESYNC_DELAY_SECONDS = 1.0


class Backplane:
    """One channel for all rooms. A worker drops the events of rooms that it has no members of.

    An event is the JSON list [origin, kind, room, content]. A heartbeat is [origin]. An empty list
    announces that some worker could not publish.
    """

    on_event: Callable[[str, str, str], None]
    on_loss: Callable[[], None]

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._origin = uuid4().hex
        self._listening: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._resyncing: asyncio.TimerHandle | None = None
        self._tried = asyncio.Event()
        self._has_lost = False
        self._retry_at = 0.0

    async def publish(self, kind: str, room: str, content: str) -> None:
        """Send to the other workers, once. If that fails, their clients resync after the outage."""
        await self._publish([self._origin, kind, room, content])

    async def listen(self) -> None:
        """Return when events of other workers arrive, or after the first attempt has failed."""
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
        if self._has_lost:
            self._retry_at = 0.0
            await self._publish([self._origin])

    async def _publish(self, envelope: list[str]) -> None:
        if time.monotonic() < self._retry_at:
            self._has_lost = True
            return
        had_lost, self._has_lost = self._has_lost, False  # a failure from here on sets it again
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                if had_lost:
                    await self._redis.publish(self._channel, "[]")
                    logger.warning("publishing to other workers again")
                await self._redis.publish(self._channel, json.dumps(envelope))
        except asyncio.CancelledError:
            self._fail()
            raise
        except Exception as error:  # the client raises ValueError for an invalid reply
            if not (had_lost or self._has_lost):  # log an outage once
                logger.warning("cannot publish to other workers: %s", describe(error))
            self._fail()
            # Pooled connections may be dead as well, and each would fail one event.
            with suppress(Exception):
                await self._redis.connection_pool.disconnect(inuse_connections=False)

    def _fail(self) -> None:
        """Record a loss; the heartbeat announces it after the outage."""
        self._has_lost, self._retry_at = True, time.monotonic() + _HEARTBEAT_SECONDS
        self._beating = self._beating or _start(self._beat)

    async def _beat(self) -> None:
        while True:
            await self._publish([self._origin])
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def _listen(self) -> None:
        delay, lost = _MIN_DELAY_SECONDS, False
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=False) as pubsub:
                    async with asyncio.timeout(_DEADLINE_SECONDS):
                        await pubsub.subscribe(self._channel)
                        await pubsub.get_message(timeout=None)
                    if lost:
                        logger.warning("receiving from other workers again")
                        self._schedule_resync()
                    delay, lost = _MIN_DELAY_SECONDS, False
                    self._retry_at = 0.0  # the server is back, so publishing works too
                    self._tried.set()
                    while True:
                        async with asyncio.timeout(_SILENCE_SECONDS):
                            message = await pubsub.get_message(timeout=None)
                        if message is not None and message["type"] == "message":
                            self._receive(message["data"])
                            await asyncio.sleep(0)  # let the connections send
            except Exception as error:
                if not lost:
                    logger.warning("cannot receive from other workers: %s", describe(error))
                lost = True
                self._tried.set()
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 (not a secret)
            delay = min(2 * delay, _MAX_DELAY_SECONDS)

    def _schedule_resync(self) -> None:
        """Resync once for losses of several workers, and not on all workers at the same moment."""
        if self._resyncing is None:
            delay = random.uniform(0.2, 1) * _MAX_RESYNC_DELAY_SECONDS  # noqa: S311 (not a secret)
            self._resyncing = asyncio.get_running_loop().call_later(delay, self._resync)

    def _resync(self) -> None:
        self._resyncing = None
        self.on_loss()

    def _receive(self, data: bytes) -> None:
        match _parse(data):
            case []:
                self._schedule_resync()
            case [str()]:
                pass  # a heartbeat
            case [str(origin), str(kind), str(room), str(content)]:
                if origin != self._origin:
                    self.on_event(kind, room, content)
            case _:
                logger.warning("unexpected message on channel %s", self._channel)


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _start(run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Start a task in an empty context, so that its log lines have no request id."""
    return asyncio.create_task(run(), context=Context())


@asynccontextmanager
async def open_backplane(settings: KitSettings) -> AsyncIterator[Backplane]:
    """Open the backplane. It connects when there is something to send or someone to listen."""
    async with open_redis(settings, _MAX_CONNECTIONS) as redis:
        # Unlike keys, channels do not depend on the number (`/0`, `/1`) that the URL ends in.
        number = redis.connection_pool.connection_kwargs.get("db", 0)
        backplane = Backplane(redis, f"{settings.key_prefix}:{number}:websockets")
        try:
            yield backplane
        finally:
            await backplane.close()
