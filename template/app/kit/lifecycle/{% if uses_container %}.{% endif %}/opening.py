"""Opens the root scope."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType

from clean_ioc import Lifespan
from starlette.requests import HTTPConnection

from app.kit.lifecycle.graph import AppContainer, check, make
from app.kit.lifecycle.overrides import Override
from app.kit.lifecycle.plain import register_plain, share_plain
from app.kit.lifecycle.providers import Provider, cannot_resolve, find_aliases
from app.kit.lifecycle.scopes import Resolved, RootScope, get_connection
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
    async with AppContainer(overrides) as container:
        root_scope = RootScope(container)
        container.register(RootScope, instance=root_scope, lifespan=Lifespan.singleton)
        container.register(KitSettings, instance=settings, lifespan=Lifespan.singleton)
        container.register(HTTPConnection, factory=get_connection, lifespan=Lifespan.scoped)
        for module in modules:
            container.place = module.__name__
            if hasattr(module, "register"):
                module.register(container)
        aliases = find_aliases(modules)
        plain = register_plain(container, aliases.values())
        for service in container.fakes.keys() - container.places.keys():
            raise cannot_resolve(service, container.places)
        resolved = {each.provider: name for name, each in aliases.items()}
        wanted = {
            each.wanted: name for each, name in resolved.items() if isinstance(each, Resolved)
        }
        made = root_scope.singletons
        # One by one, since the container has no lock and first requests come together.
        for each in check(container, wanted):
            made[each.service_type] = await make(container, each)
        made |= {provider: made[key] for provider, key in plain.items() if key in made}
        if dependency_overrides is not None:
            share_plain(container, plain, dependency_overrides)
        yield root_scope
