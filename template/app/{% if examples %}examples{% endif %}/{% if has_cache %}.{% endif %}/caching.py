"""Caching: a response that is the same for everybody, computed at most every five minutes."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from app.cache.decorator import cached
from app.wiring import ResponseCacheDep

router = APIRouter()


class Data(BaseModel):
    computed_at: datetime


@router.get("/data")
@cached(expire=300, public=True)
async def data() -> Data:
    """Takes half a second, once: 200 who ask together wait for one computation."""
    await asyncio.sleep(0.5)
    return Data(computed_at=datetime.now(UTC))


@router.get("/cache")
async def statistics(cache: ResponseCacheDep) -> dict[str, int]:
    """What this process has found, computed, waited for, and how often its store did not answer."""
    return asdict(cache.statistics)
