"""What the providers of a module provide (dishka)."""

from types import ModuleType
from typing import Any

from dishka import Scope

from app.kit.development.registration import Registration, not_plain
from app.kit.lifecycle.scopes import as_provider

LIBRARY = "dishka"
KEEPS_DEFAULTS = False
"""Of constructors: what has a default is provided as well."""


def registrations_of(module: ModuleType) -> list[Registration]:
    """Return them in their order. Raise WiringError for what plain providers cannot do."""
    found = []
    for provider in filter(None, map(as_provider, vars(module).values())):
        others: list[Any] = [*provider.aliases, *provider.decorators, *provider.context_vars]
        for each in [*others, *provider.factory_union_mode]:
            fault = f"is provided by a dishka {type(each).__name__}"
            raise not_plain(module, each.provides.type_hint, fault)
        for factory in provider.factories:
            wanted, of_app = factory.provides.type_hint, factory.scope is Scope.APP
            if {factory.when_override, factory.when_active} != {None} or provider.component:
                raise not_plain(module, wanted, "has `when=`, `override=` or a component")
            is_kept = factory.cache
            if factory.scope not in (Scope.APP, Scope.REQUEST) or (of_app and not is_kept):
                remedy = "make it once for the app, or for `Scope.REQUEST`"
                raise not_plain(module, wanted, "lives as long as nothing plain does", remedy)
            found.append(Registration(wanted, factory.source, of_app, is_kept))
    return found


def names_for_container(module: ModuleType) -> set[str]:
    """Return the names of a module that are for the container alone."""
    return {name for name, value in vars(module).items() if as_provider(value)}
