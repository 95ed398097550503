"""What the root scope makes, for the `graph` command."""

from collections.abc import Iterator
from typing import Any

from clean_ioc import Lifespan

from app.kit.lifecycle import RootScope
from app.kit.lifecycle.providers import parameters


def objects_of(root_scope: RootScope) -> Iterator[tuple[Any, bool, list[Any]]]:
    """Yield each type, whether it is made once for the app, and what it needs."""
    plain = {key: provider for provider, key in root_scope.plain.items()}
    for wanted in root_scope.places:
        for each in root_scope.registrations(wanted):
            if wanted in plain:
                needs = [need.wanted for need in parameters(plain[wanted]).values() if need]
            else:
                needs = [need.service_type for need in each.dependencies.values()]
            yield wanted, each.lifespan is Lifespan.singleton, needs
