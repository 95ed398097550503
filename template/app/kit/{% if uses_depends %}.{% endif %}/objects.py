"""What the root scope makes, for the `graph` command."""

from collections.abc import Iterator
from typing import Any

from app.kit.lifecycle import RootScope, singleton
from app.kit.lifecycle.providers import parameters


def objects_of(root_scope: RootScope) -> Iterator[tuple[Any, bool, list[Any]]]:
    """Yield each type, whether it is made once for the app, and what it needs."""
    for wanted, (_, provider, _) in root_scope.needed.items():
        needs = [each.wanted for each in parameters(provider).values() if each]
        yield wanted, isinstance(provider, singleton), needs
