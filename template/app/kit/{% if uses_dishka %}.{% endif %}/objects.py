"""What the root scope makes, for the `graph` command."""

from collections.abc import Iterator
from typing import Any

from dishka import AsyncContainer, Scope

from app.kit.lifecycle import RootScope


def objects_of(root_scope: RootScope) -> Iterator[tuple[Any, bool, list[Any]]]:
    """Yield each type, whether it is made once for the app, and what it needs."""
    registry: Any = root_scope.container.registry
    while registry is not None:
        for key, each in registry.factories.items():
            needs = [*each.dependencies, *each.kw_dependencies.values()]
            needs += [member.provides for member in each.when_dependencies]
            if key.type_hint is AsyncContainer:
                continue
            of_app = registry.scope is Scope.APP
            yield key.type_hint, of_app, [need.type_hint for need in needs]
        registry = registry.child_registry
