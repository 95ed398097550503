"""Provides the cache that `app/kit/wiring.py` registers; `@cached` depends on it."""

from typing import Annotated

from app.kit.cache.response_cache import ResponseCache
from app.kit.lifecycle import Resolve

ResponseCacheDep = Annotated[ResponseCache, Resolve(ResponseCache)]
