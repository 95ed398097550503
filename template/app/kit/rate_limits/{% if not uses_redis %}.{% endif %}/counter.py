"""The counter of this service: each worker counts its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.kit.rate_limits.memory import MemoryCounter as RateCounter
from app.kit.settings import KitSettings

__all__ = ["RateCounter", "open_counter"]


@asynccontextmanager
async def open_counter(_: KitSettings) -> AsyncIterator[RateCounter]:
    yield RateCounter()
