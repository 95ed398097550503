"""Counts in this process."""

import time
from collections import Counter
from typing import NamedTuple


class RateLimit(NamedTuple):
    """At most `limit` times in `seconds`. Equal limits share their counts."""

    name: str
    limit: int
    seconds: int


class MemoryCounter:
    """Counts in fixed windows; the previous one counts in proportion to the time left in this one.

    A new window replaces both counters at once, so that old counts need no search.
    """

    def __init__(self) -> None:
        self._windows: dict[RateLimit, _Window] = {}

    async def hit(self, limit: RateLimit, key: str) -> float:
        """Count and return 0, or count nothing and return the seconds until it may happen again."""
        window = self._windows.setdefault(limit, _Window())
        return window.hit(limit, key)

    async def reset(self, limit: RateLimit, key: str) -> None:
        if window := self._windows.get(limit):
            window.reset(key)


class _Window:
    def __init__(self) -> None:
        self._number = 0.0
        self._current: Counter[str] = Counter()
        self._previous: Counter[str] = Counter()

    def hit(self, limit: RateLimit, key: str) -> float:
        number, elapsed = divmod(time.time(), limit.seconds)
        if number != self._number:
            self._previous = self._current if number == self._number + 1 else Counter()
            self._current, self._number = Counter(), number
        left, allowed = limit.seconds - elapsed, limit.limit
        current, previous = self._current[key], self._previous[key]
        if current >= allowed:
            return left + limit.seconds * (1 - allowed / current)
        if current + previous * left / limit.seconds >= allowed:
            return left - limit.seconds * (allowed - current) / previous
        self._current[key] += 1
        return 0.0

    def reset(self, key: str) -> None:
        self._current.pop(key, None)
        self._previous.pop(key, None)
