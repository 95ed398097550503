"""A cache of responses.

Decorate a route with `@cached`; call `ResponseCache.invalidate()` after a change.
"""

from app.kit.cache.decorator import cached
from app.kit.cache.dependencies import ResponseCacheDep
from app.kit.cache.recording import ResponseRecorder
from app.kit.cache.response_cache import ResponseCache, open_response_cache

__all__ = [
    "ResponseCache",
    "ResponseCacheDep",
    "ResponseRecorder",
    "cached",
    "open_response_cache",
]
