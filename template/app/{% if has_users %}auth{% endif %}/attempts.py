"""A bound on attempts to sign in, to register and to guess a password (OWASP ASVS 5.0, 6.3.1)."""

import ipaddress
import math
import time
from collections import Counter

from limits import parse

from app.auth.errors import TooManyAttempts
from app.settings import Settings


class Attempts:
    """Counts attempts by account and by address. Each process counts for itself."""

    def __init__(self, settings: Settings) -> None:
        self._per_account = _SlidingWindow(settings.sign_in_limit_per_account)
        self._per_address = _SlidingWindow(settings.sign_in_limit_per_address)

    async def count(self, account: str, address: str) -> None:
        """Count one attempt. Raises TooManyAttempts beyond either limit."""
        self._per_address.count(_network(address))
        self._per_account.count(account)

    async def forget(self, account: str) -> None:
        """Start an account's count anew: its owner is there."""
        self._per_account.forget(account)


class _SlidingWindow:
    """Counts in this window and in the one before, which counts by the part of it that is not over yet.

    Windows are forgotten as a whole: the storage of `limits` looks through all keys at each count.
    """

    def __init__(self, limit: str) -> None:
        parsed = parse(limit)
        self._amount = parsed.amount
        self._seconds = parsed.get_expiry()
        self._window = 0.0
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    def count(self, key: str) -> None:
        """Raises TooManyAttempts, and counts nothing, beyond the limit."""
        window, passed = divmod(time.time(), self._seconds)
        if window != self._window:
            self._before = self._now if window == self._window + 1 else Counter()
            self._now, self._window = Counter(), window
        left, spare = self._seconds - passed, self._amount - 1
        now, before = self._now[key], self._before[key]
        if now > spare:
            raise TooManyAttempts(math.ceil(left + self._seconds * (1 - spare / now)))
        if now + before * left / self._seconds > spare:
            raise TooManyAttempts(math.ceil(left - self._seconds * (spare - now) / before))
        self._now[key] += 1

    def forget(self, key: str) -> None:
        self._now.pop(key, None)
        self._before.pop(key, None)


def _network(address: str) -> str:
    """Return what one person has of addresses: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
