"""Limits attempts to sign in, to register and to guess a password (OWASP ASVS 5.0, 6.3.1)."""

import ipaddress
import math
import time
from collections import Counter

from app.auth.errors import TooManyAttempts
from app.settings import Settings


class SignInLimiter:
    """Limits attempts per account and per client IP. Each process counts its own."""

    def __init__(self, settings: Settings) -> None:
        seconds = settings.sign_in_limit_minutes * 60
        self._per_account = _SlidingWindow(settings.sign_in_limit_per_account, seconds)
        self._per_ip = _SlidingWindow(settings.sign_in_limit_per_ip, seconds)

    async def check(self, account: str, client_ip: str) -> None:
        """Count an attempt. Raise TooManyAttempts if it exceeds a limit."""
        self._per_ip.check(_network(client_ip))
        self._per_account.check(account)

    async def reset(self, account: str) -> None:
        """Forget the attempts of an account, after its owner has signed in."""
        self._per_account.reset(account)


class _SlidingWindow:
    """Counts in fixed windows; the previous one counts in proportion to the time left in this one.

    A new window replaces both counters at once, so that memory is bounded.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._window = 0.0
        self._current: Counter[str] = Counter()
        self._previous: Counter[str] = Counter()

    def check(self, key: str) -> None:
        """Count an attempt. Raise TooManyAttempts, and count nothing, if it exceeds the limit."""
        window, elapsed = divmod(time.time(), self._seconds)
        if window != self._window:
            self._previous = self._current if window == self._window + 1 else Counter()
            self._current, self._window = Counter(), window
        left, allowed = self._seconds - elapsed, self._limit - 1
        current, previous = self._current[key], self._previous[key]
        if current > allowed:
            raise TooManyAttempts(math.ceil(left + self._seconds * (1 - allowed / current)))
        if current + previous * left / self._seconds > allowed:
            wait = left - self._seconds * (allowed - current) / previous
            raise TooManyAttempts(math.ceil(wait))
        self._current[key] += 1

    def reset(self, key: str) -> None:
        self._current.pop(key, None)
        self._previous.pop(key, None)


def _network(client_ip: str) -> str:
    """Return what one client controls: an IPv4 address or a /64 network of IPv6 (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(client_ip)
    except ValueError:
        return client_ip
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((ip, 64), strict=False))
        ip = ip.ipv4_mapped  # RFC 4291, 2.5.5.2
    return str(ip)
