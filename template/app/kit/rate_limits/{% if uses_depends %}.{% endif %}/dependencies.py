"""Provides the limiter to `app/kit/wiring.py` and to `limited`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from app.kit.lifecycle import RootScopeDep, singleton
from app.kit.rate_limits.limiter import RateLimiter, open_rate_limiter


@singleton
async def get_rate_limiter(root_scope: RootScopeDep) -> AsyncIterator[RateLimiter]:
    async with open_rate_limiter(root_scope.settings) as limiter:
        yield limiter


RateLimiterDep = Annotated[RateLimiter, Depends(get_rate_limiter)]
