"""Provides the limiter that `app/kit/wiring.py` registers; `limited` depends on it."""

from typing import Annotated

from app.kit.lifecycle import Resolve
from app.kit.rate_limits.limiter import RateLimiter

RateLimiterDep = Annotated[RateLimiter, Resolve(RateLimiter)]
