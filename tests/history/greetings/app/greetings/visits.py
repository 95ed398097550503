"""How often somebody was greeted."""

from collections import Counter


class Visits:
    """Kept for the life of the process."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    def count(self, name: str) -> int:
        self._counted[name] += 1
        return self._counted[name]
