"""Limits how often something may happen: attempts to sign in, requests to a route.

`@router.post("/search", dependencies=[limited(30, seconds=60)])` limits a route for each client.
"""

from app.kit.rate_limits.dependencies import RateLimiterDep
from app.kit.rate_limits.limiter import (
    RateLimit,
    RateLimiter,
    TooManyRequests,
    open_rate_limiter,
)
from app.kit.rate_limits.routes import limited

__all__ = [
    "RateLimit",
    "RateLimiter",
    "RateLimiterDep",
    "TooManyRequests",
    "limited",
    "open_rate_limiter",
]
