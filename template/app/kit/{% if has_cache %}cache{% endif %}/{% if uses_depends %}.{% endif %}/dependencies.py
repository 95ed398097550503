"""Provides the cache to `app/kit/wiring.py` and to `@cached`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from app.kit.cache.response_cache import ResponseCache, open_response_cache
from app.kit.lifecycle import RootScopeDep, singleton


@singleton
async def get_response_cache(root_scope: RootScopeDep) -> AsyncIterator[ResponseCache]:
    async with open_response_cache(root_scope.settings) as response_cache:
        yield response_cache


ResponseCacheDep = Annotated[ResponseCache, Depends(get_response_cache)]
