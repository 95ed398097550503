"""Classes for a container: one of the request, a chain of 12, and one that needs 30 others."""

from typing import Any

from app.settings import Settings


class Hello:
    def __init__(self, settings: Settings) -> None:
        self.name = settings.environment


def needing(*needs: Any) -> Any:
    """Return a class whose constructor takes an object of each class."""
    namespace = {f"Class{number}": each for number, each in enumerate(needs)}
    parameters = "".join(f", part{number}: Class{number}" for number, _ in enumerate(needs))
    exec(f"class Part:\n    def __init__(self{parameters}) -> None: ...", namespace)  # noqa: S102
    return namespace["Part"]


CHAIN: list[Any] = [needing()]
for _ in range(11):
    CHAIN.append(needing(CHAIN[-1]))
LEAVES = [needing() for _ in range(29)]
WIDE = needing(CHAIN[-1], *LEAVES)
CLASSES = [Hello, *CHAIN, *LEAVES, WIDE]
