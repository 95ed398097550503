"""Caching: a response that everyone shares, computed at most every five minutes."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from app.kit.cache import ResponseCacheDep, cached

router = APIRouter()


class Data(BaseModel):
    computed_at: datetime


@router.get("/data")
@cached(expire=300, public=True)
async def compute_data() -> Data:
    """Takes half a second once: concurrent requests wait for one computation."""
    await asyncio.sleep(0.5)
    return Data(computed_at=datetime.now(UTC))


@router.get("/cache")
async def read_statistics(cache: ResponseCacheDep) -> dict[str, int]:
    """Return how this process has used the cache since its start."""
    return asdict(cache.statistics)
