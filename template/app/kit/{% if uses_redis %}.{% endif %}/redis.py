"""Connections to Redis or Valkey."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis

from app.kit.settings import KitSettings


@asynccontextmanager
async def open_redis(settings: KitSettings, max_connections: int) -> AsyncIterator[Redis]:
    """Yield a client that connects with its first command.

    It never gives up and never retries: its callers have deadlines.
    """
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=max_connections,
        timeout=None,
        retry=None,
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    async with Redis.from_pool(pool) as redis:
        yield redis
