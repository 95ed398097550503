"""A counter of visits."""

from collections import Counter


class Visits:
    """Count visits for the life of the process."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, name: str) -> int:
        self._counts[name] += 1
        return self._counts[name]
