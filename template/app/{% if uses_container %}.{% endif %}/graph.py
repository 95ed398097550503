"""Checks the container's graph at start, which Clean IoC 1.x does not do by itself."""

from collections.abc import Iterable
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

from clean_ioc import Container, Lifespan, Registrator, Resolver, Scope, ScopeCreator
from clean_ioc.core import (
    EMPTY,
    CurrentGraph,
    DependencyContext,
    DependencyNode,
    default_parameter_value_factory,
)
from fastapi import params

from app.overrides import Override
from app.scopes import Resolved

_BUILT_IN = {Container, CurrentGraph, DependencyContext, Registrator, Resolver, Scope, ScopeCreator}


class GraphError(Exception):
    """The container cannot resolve what was registered; the message has one fault a line."""


class AppContainer(Container):
    """Clean IoC's container; it remembers what was registered, and takes every kind of factory."""

    def __init__(self) -> None:
        self.registered: dict[type[Any], None] = {}
        super().__init__()  # type: ignore[no-untyped-call]

    def register(self, service_type: type[Any], *arguments: Any, **options: Any) -> str:
        self.registered[service_type] = None
        return super().register(service_type, *arguments, **options)

    def override(self, override: Override) -> None:
        """Let `override.instance` answer. Raises LookupError if nothing registers its service."""
        if override.service not in self.registered:
            known = ", ".join(sorted(t.__name__ for t in self.registered if t not in _BUILT_IN))
            raise LookupError(f"nothing registers {override.service.__name__}; there are: {known}")
        self.register(override.service, instance=override.instance, lifespan=Lifespan.singleton)


def resolved_types(module: ModuleType) -> Iterable[type[Any]]:
    """Yield the type of each `Alias = Annotated[Type, Resolve(Type)]` in a module."""
    for value in vars(module).values():
        if get_origin(value) is Annotated:
            for needed in get_args(value)[1:]:
                if isinstance(needed, params.Depends) and isinstance(needed.dependency, Resolved):
                    yield needed.dependency.wanted


def check(container: AppContainer, wanted: Iterable[type[Any]] = ()) -> list[type[Any]]:
    """Return the singletons in the order in which they can be made, dependencies first.

    Raises GraphError for what is not registered, for cycles, for singletons that would keep a scoped
    object, and for parameter defaults that would win over a registration.
    """
    visit = _Visit(container)
    root = DependencyNode(object, object, Lifespan.transient)
    for service_type in dict.fromkeys((*container.registered, *wanted)):
        visit.service(service_type, root)
    if visit.faults:
        raise GraphError("\n".join(visit.faults))
    return list(visit.singletons)


class _Visit:
    """One walk over the graph, depth first."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.faults: dict[str, None] = {}
        self.singletons: dict[type[Any], None] = {}
        self.done: set[tuple[str, bool]] = set()

    def service(
        self,
        wanted: Any,
        parent: DependencyNode,
        path: tuple[Any, ...] = (),
        in_singleton: bool = False,
    ) -> None:
        here = _path((*path, wanted))
        if wanted in _BUILT_IN:
            return
        if wanted in path:
            self.faults[f"cycle: {here}"] = None
            return
        found = self.container.find_registrations(service_type=wanted, parent_node=parent)
        if not found:
            self.faults[f"not registered: {here}"] = None
            return
        self._registration(found[0], wanted, here, path, in_singleton)

    def _collection(
        self, element: Any, parent: DependencyNode, path: tuple[Any, ...], in_singleton: bool
    ) -> None:
        """Visit all that is registered for the elements of a `list[T]`; there may be none."""
        for registration in self.container.find_registrations(
            service_type=element, parent_node=parent
        ):
            here = _path((*path, element))
            self._registration(registration, element, here, path, in_singleton)

    def _registration(
        self, registration: Any, wanted: Any, here: str, path: tuple[Any, ...], in_singleton: bool
    ) -> None:
        if in_singleton and registration.lifespan is Lifespan.scoped:
            self.faults[f"a singleton would keep a scoped object: {here}"] = None
        is_singleton = registration.lifespan is Lifespan.singleton
        if (registration.id, in_singleton) in self.done:
            return
        self.done.add((registration.id, in_singleton))
        node = DependencyNode(wanted, registration.implementation, registration.lifespan)
        for dependency in registration.dependencies.values():
            if dependency.settings.value_factory is not default_parameter_value_factory:
                continue
            needed = dependency.service_type
            kept = is_singleton or in_singleton
            if dependency.generic_collection_type:
                self._collection(get_args(needed)[0], node, (*path, wanted), kept)
            elif dependency.default_value is EMPTY:
                self.service(needed, node, (*path, wanted), kept)
            # `Mailer | None = None`: the default would win over the registered Mailer.
            elif any(self.container.has_registration(each) for each in (needed, *get_args(needed))):
                self.faults[f"a default hides what is registered: {here}({dependency.name})"] = None
        if is_singleton:
            self.singletons[wanted] = None


def _path(types: tuple[Any, ...]) -> str:
    return " -> ".join(getattr(each, "__name__", str(each)) for each in types)
