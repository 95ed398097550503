"""Lets a slice use plain `Depends` beside the container: what its providers make can be resolved and overridden too.

A route is handed what FastAPI makes with the provider; everybody else, what the container makes with it.
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

from clean_ioc import Lifespan
from fastapi import FastAPI, params

from app.graph import AppContainer
from app.overrides import Override
from app.scopes import Provider, Resolved, Singleton


def register_providers(container: AppContainer, module: ModuleType) -> None:
    """Register each `Alias = Annotated[Type, Depends(provider)]` of a module whose type nothing else registers."""
    for wanted, provider, use_cache in _providers(module):
        if wanted in container.registered:
            continue
        if isinstance(provider, Singleton):
            container.register(wanted, factory=provider.provider, lifespan=Lifespan.singleton)
        else:
            lifespan = Lifespan.scoped if use_cache else Lifespan.transient
            container.register(wanted, factory=provider, lifespan=lifespan)


def override_providers(
    app: FastAPI, modules: Iterable[ModuleType], overrides: Sequence[Override]
) -> None:
    """Let the fakes reach routes, for which FastAPI runs the providers."""
    fakes = {each.service: each.instance for each in overrides}
    for wanted, provider, _ in (found for module in modules for found in _providers(module)):
        if wanted in fakes and not isinstance(provider, Singleton):
            app.dependency_overrides[provider] = _constant(fakes[wanted])


def _providers(module: ModuleType) -> Iterator[tuple[type[Any], Provider, bool]]:
    """Yield the type, the provider and whether it is kept for the request, of each that needs nothing else of one."""
    for value in vars(module).values():
        if get_origin(value) is not Annotated:
            continue
        wanted, *metadata = get_args(value)
        for needed in metadata:
            if (
                isinstance(needed, params.Depends)
                and needed.dependency is not None
                and type(needed.dependency) is not Resolved
                and _needs_no_request(needed.dependency)
            ):
                yield wanted, needed.dependency, needed.use_cache


def _needs_no_request(provider: Provider) -> bool:
    made_by = provider.provider if isinstance(provider, Singleton) else provider
    parameters = inspect.signature(made_by, eval_str=True).parameters.values()
    return all(
        any(isinstance(each, params.Depends) for each in get_args(parameter.annotation))
        for parameter in parameters
    )


def _constant(instance: object) -> Provider:
    async def provided() -> object:
        return instance

    return provided
