"""A bound on attempts to sign in, to register and to guess a password (OWASP ASVS 5.0, 6.3.1)."""

import ipaddress
import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from app.auth.errors import TooManyAttempts
from app.settings import Settings


class Attempts:
    """Counts attempts by account and by address. Each process counts for itself."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_account = parse(settings.sign_in_limit_per_account)
        self._per_address = parse(settings.sign_in_limit_per_address)

    async def count(self, account: str, address: str) -> None:
        """Count one attempt. Raises TooManyAttempts beyond either limit."""
        for limit, *key in (
            (self._per_address, "address", _network(address)),
            (self._per_account, "account", account),
        ):
            if not await self._limiter.hit(limit, *key):
                reset_time = (await self._limiter.get_window_stats(limit, *key)).reset_time
                raise TooManyAttempts(max(1, math.ceil(reset_time - time.time())))

    async def forget(self, account: str) -> None:
        """Start an account's count anew: its owner is there."""
        await self._limiter.clear(self._per_account, "account", account)


def _network(address: str) -> str:
    """Return what one person has of addresses: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
