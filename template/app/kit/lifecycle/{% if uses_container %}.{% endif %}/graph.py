"""The container, and the check of its graph at start, which Clean IoC 1.x does not have."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, get_args

import clean_ioc as ioc

from app.kit.lifecycle.overrides import Override
from app.kit.lifecycle.providers import WiringError, name_of, place, two_providers

# Each scope of the library registers itself under these; services ask for `RootScope` instead.
OWN_TYPES = (ioc.Container, ioc.Registrator, ioc.Resolver, ioc.Scope, ioc.ScopeCreator)
_BUILT_IN = (ioc.CurrentGraph, ioc.DependencyContext)


class AppContainer(ioc.Container):
    """Clean IoC's container, which knows what was registered where."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self.fakes = {each.service: each.instance for each in overrides}
        self.places: dict[Any, list[str]] = {}
        self.place = "the kit"
        """The place of what is registered next."""
        super().__init__()  # type: ignore[no-untyped-call]

    def register(self, service_type: Any, *arguments: Any, **options: Any) -> str:
        if service_type in OWN_TYPES:
            return ""
        is_fake, is_known = service_type in self.fakes, service_type in self.places
        # One with a name, or for certain parents, does not compete with others of its type.
        competes = not options.keys() & {"name", "parent_node_filter"}
        for each in {service_type, *arguments}:
            self.places.setdefault(each, []).extend([self.place] * competes)
        if is_fake and is_known:
            return ""  # one fake replaces all, also in a `list[...]`
        if is_fake:
            fake, lifespan = self.fakes[service_type], ioc.Lifespan.singleton
            return super().register(service_type, instance=fake, lifespan=lifespan)
        return super().register(service_type, *arguments, **options)


def check(container: AppContainer, aliases: Mapping[Any, str] | None = None) -> list[Any]:
    """Return the registrations of the singletons.

    `aliases` has the name of an alias for each type that routes ask for. Raise WiringError for what is
    missing, ambiguous, cyclic or hidden by a default.
    """
    faults: list[str] = []
    graph: dict[Any, set[Any]] = {}
    asked, in_lists = dict(aliases or {}), set()
    root = ioc.DependencyNode(object, object, ioc.Lifespan.transient)
    found = [
        each
        for service in container.places
        for each in container.find_registrations(service_type=service, parent_node=root)
    ]
    for each in found:
        where = place(each.implementation)
        for needed in each.dependencies.values():
            wanted, types = needed.service_type, get_args(needed.service_type)
            if needed.settings.value_factory is not ioc.default_parameter_value_factory:
                continue
            if needed.generic_collection_type:
                in_lists.add(types[0])
            elif needed.default_value is ioc.EMPTY:
                asked.setdefault(wanted, where)
                graph.setdefault(each.service_type, set()).add(wanted)
            # `Mailer | None = None`: the default would win over the registered Mailer.
            elif any(map(container.has_registration, (wanted, *types))):
                fault = f"the default of {needed.name!r} hides what is registered: remove it"
                faults.append(f"{where}: {fault}")
    for wanted, where in asked.items():
        if wanted not in container.places and wanted not in _BUILT_IN:
            remedy = "register it in a `dependencies.py` that `app/slices.py` names"
            faults.append(f"{where} needs {name_of(wanted)}, which nothing provides: {remedy}")
    for service, places in container.places.items():
        if len(places) > 1 and (service in asked or service not in in_lists):
            faults.append(f"{two_providers(service, *places)}, or ask for a list of all")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        faults.append(f"a cycle: {' -> '.join(map(name_of, reversed(error.args[1])))}")
    if faults:
        raise WiringError("\n".join(faults))
    return [each for each in dict.fromkeys(found) if each.lifespan is ioc.Lifespan.singleton]


async def make(container: AppContainer, singleton: Any) -> Any:
    """Return the object of a singleton. Raise WiringError if it keeps an object of a scope."""
    service = singleton.service_type
    made = await container.resolve_async(service, lambda each: each.id == singleton.id)
    for each in container.scoped_instances.values():
        fault = f"the singleton {name_of(service)} would keep {name_of(each.service_type)}"
        raise WiringError(f"{fault}, which is made for a scope: make both singletons, or neither")
    return made
