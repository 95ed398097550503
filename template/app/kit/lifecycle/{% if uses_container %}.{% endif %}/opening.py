"""Opens the root scope: registers, checks and makes what lives as long as the app.

Slices may use plain `Depends`. The container runs their providers, and FastAPI takes the objects
from it by `dependency_overrides`: a unit of work has one object of each type, whoever asks. With
overrides FastAPI is slower in every request, so register the objects of hot routes. A provider that
needs more of a request than its connection is run by FastAPI; its object cannot be resolved.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from graphlib import CycleError
from types import ModuleType
from typing import Any, get_args

import clean_ioc as ioc
from clean_ioc.registration_filters import with_id

from app.kit.lifecycle import providers
from app.kit.lifecycle.overrides import Override
from app.kit.lifecycle.providers import Needed, Provider, Singleton, WiringError, name_of, place
from app.kit.lifecycle.scopes import Resolve, RootScope
from app.kit.settings import KitSettings


@asynccontextmanager
async def open_root_scope(
    settings: KitSettings,
    modules: Sequence[ModuleType],
    overrides: Sequence[Override] = (),
    dependency_overrides: dict[Provider, Provider] | None = None,
) -> AsyncIterator[RootScope]:
    """Make the singletons for an app, a worker, a command or a test; close them in reverse order.

    Raise WiringError if `modules` do not say how. An app hands over its `dependency_overrides`.
    """
    async with RootScope(overrides) as container:
        container.register(KitSettings, instance=settings, lifespan=ioc.Lifespan.singleton)
        for module in modules:
            container.place = module.__name__
            if hasattr(module, "register"):
                module.register(container)
        aliases = providers.find_aliases(modules)
        asked = {register_plain(container, needed): name for name, needed in aliases.items()}
        for service in container.fakes.keys() - container.places.keys():
            raise providers.cannot_resolve(service, container.places)
        check(container, asked)
        await make_singletons(container)
        for provider, service in container.plain.items():
            if isinstance(provider, Singleton):
                container.singletons[provider] = container.singletons[service]
            elif dependency_overrides is not None:
                dependency_overrides.setdefault(provider, Resolve(service).dependency)
        yield container


def register_plain(container: RootScope, needed: Needed) -> Any:
    """Register a provider and those that it needs, unless only FastAPI can run it.

    Return what to resolve for it, or None.
    """
    wanted, provider, use_cache = needed
    if provider is Resolve(wanted).dependency:
        return wanted
    if provider not in container.plain:
        needs = {
            each.name: register_plain(container, need) if need else each.annotation
            for each, need in providers.parameters(provider).items()
        }
        if wanted in container.fakes or container.places.keys() >= set(needs.values()):
            key = provider if providers.is_plain(wanted) else wanted
            lifespan = ioc.Lifespan.scoped if use_cache else ioc.Lifespan.transient
            if isinstance(provider, Singleton):
                lifespan = ioc.Lifespan.singleton
            container.place = place(provider)
            container.register(key, factory=_factory(provider, needs), lifespan=lifespan)
            container.plain[provider] = key
            container.graph.add(key, *needs.values())
        elif isinstance(provider, Singleton):
            raise WiringError(f"{place(provider)} is a singleton and needs a request")
    return container.plain.get(provider)


def _factory(provider: Provider, needs: dict[str, Any]) -> Provider:
    """Return a factory that runs a provider and hands the error of the scope to it."""

    async def make(graph: ioc.CurrentGraph) -> AsyncIterator[Any]:
        scope, stack = graph.resolving_context.scope, AsyncExitStack()
        arguments = {name: await scope.resolve_async(key) for name, key in needs.items()}
        yield await providers.run(provider, arguments, stack)
        await stack.__aexit__(*getattr(scope, "error", (None, None, None)))

    return make


def check(container: RootScope, asked: dict[Any, str]) -> None:
    """Raise WiringError for what is missing, ambiguous or cyclic, which Clean IoC 1.x does not.

    `asked` has what aliases ask for, with their names.
    """
    in_lists: set[Any] = set()
    unset = ioc.DependencySettings()
    for service in container.places:
        for each in container.registrations(service):
            for needed in each.dependencies.values():
                if needed.generic_collection_type:
                    in_lists.update(get_args(needed.service_type))
                    container.graph.add(service, *get_args(needed.service_type))
                elif needed.default_value is ioc.EMPTY and needed.settings == unset:
                    asked.setdefault(needed.service_type, place(each.implementation))
                    container.graph.add(service, needed.service_type)
    for wanted, where in asked.items():
        if wanted and wanted not in container.places:
            remedy = "register it in a `dependencies.py` that `app/slices.py` names"
            raise WiringError(f"{where} needs {name_of(wanted)}, which nothing provides: {remedy}")
    for service, places in container.places.items():
        alone = service in asked or service not in in_lists
        if alone and len(container.registrations(service)) > 1:
            raise providers.two_providers(service, *places)
    try:
        container.graph.prepare()
    except CycleError as error:
        cycle = " -> ".join(map(place, reversed(error.args[1])))
        raise WiringError(f"a cycle: {cycle}") from None


async def make_singletons(container: RootScope) -> None:
    """Make them one by one: the container has no lock, and first requests come together."""
    for wanted in container.places:
        for each in container.registrations(wanted):
            if each.lifespan is ioc.Lifespan.singleton:
                made = await container.resolve_async(wanted, with_id(each.id))
                container.singletons[wanted] = made
            for kept in container.scoped_instances.values():
                fault = f"the singleton {name_of(wanted)} would keep {name_of(kept.service_type)}"
                raise WiringError(f"{fault} of a scope: make both singletons, or neither")
