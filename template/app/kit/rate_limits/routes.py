"""Limits a route in one line."""

from typing import Any

from fastapi import Depends, Request

from app.kit.client_ip import ClientIpDep, network_of
from app.kit.rate_limits.dependencies import RateLimiterDep
from app.kit.rate_limits.memory import RateLimit


def limited(limit: int, *, seconds: int) -> Any:
    """Return a dependency that lets a client call a route at most `limit` times in `seconds`.

    A client is an IPv4 address or a /64 network of IPv6. A request too many is refused with 429.
    """
    if limit < 1 or seconds < 1:
        raise ValueError(f"limit and seconds are at least 1, not {limit} and {seconds}")

    async def check(request: Request, limiter: RateLimiterDep, client_ip: ClientIpDep) -> None:
        endpoint, path = request.scope["endpoint"], request.scope["route"].path
        route = f"{endpoint.__module__}.{endpoint.__qualname__} {request.method} {path}"
        await limiter.check(RateLimit(route, limit, seconds), network_of(client_ip))

    return Depends(check)
