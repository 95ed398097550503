"""Let slices use plain `Depends` under the container.

The container runs their providers, and FastAPI takes the objects from it by `dependency_overrides`: a
unit of work has one object of each type, whoever asks. With overrides FastAPI is slower in every
request, so register the objects of hot routes. FastAPI alone makes what needs more of a request than
its connection, or a plain type such as `str`; such objects cannot be resolved.
"""

import inspect
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from functools import wraps
from typing import Any

from clean_ioc import Lifespan
from starlette.requests import HTTPConnection

from app.kit.lifecycle import providers
from app.kit.lifecycle.graph import AppContainer
from app.kit.lifecycle.providers import Needed, Provider, Singleton, parameters, place
from app.kit.lifecycle.scopes import Resolve, Resolved, get_root_scope, get_scope, scope_error


def register_plain(container: AppContainer, aliases: Iterable[Needed]) -> dict[Provider, Any]:
    """Register the providers of aliases, and those that they need; return the key of each provider."""
    waiting = {each.provider: each for each in _with_needs(aliases)}
    for wanted, each in providers.by_type(waiting.values()).items():
        if wanted in container.places:
            raise providers.two_providers(wanted, *container.places[wanted], place(each.provider))
    keys: dict[Provider, Any] = {}
    while ready := [each for each in waiting.values() if _is_ready(each, container)]:
        for wanted, provider, use_cache in ready:
            lifespan = Lifespan.scoped if use_cache else Lifespan.transient
            if isinstance(provider, Singleton):
                lifespan = Lifespan.singleton
            keys[provider] = provider if providers.is_plain(wanted) else wanted
            container.place = place(provider)
            container.register(keys[provider], factory=_factory(provider), lifespan=lifespan)
            del waiting[provider]
    for provider in waiting:
        if isinstance(provider, Singleton):
            fault = "is a singleton and needs a request or a plain type"
            raise providers.WiringError(f"{place(provider)} {fault}")
    return keys


def share_plain(
    container: AppContainer, keys: dict[Provider, Any], overrides: dict[Provider, Provider]
) -> None:
    """Let FastAPI take from the container what it makes with plain providers."""
    shared = {each: key for each, key in keys.items() if not isinstance(each, Singleton)}
    if any(map(_is_generator, shared)):  # it gets the error of a request, whoever asked for it
        shared |= {Resolve(key).dependency: key for key in container.places}
    for provider, key in shared.items():
        overrides.setdefault(provider, _from_scope(key))


def _with_needs(needed: Iterable[Needed | None]) -> Iterator[Needed]:
    for each in needed:
        if each and each.provider is not get_root_scope and not isinstance(each.provider, Resolved):
            yield from _with_needs(parameters(each.provider).values())
            yield each


def _is_ready(needed: Needed, container: AppContainer) -> bool:
    if providers.is_plain(needed.wanted) and not isinstance(needed.provider, Singleton):
        return False
    needs = parameters(needed.provider).items()
    types = {need.wanted if need else parameter.annotation for parameter, need in needs}
    return needed.wanted in container.fakes or types <= container.places.keys()


def _factory(provider: Provider) -> Provider:
    """Return a factory for the container that hands the error of a scope to the provider."""

    @wraps(providers.function_of(provider))
    async def make(**arguments: Any) -> AsyncIterator[Any]:
        error = None
        try:
            async with AsyncExitStack() as stack:
                yield await providers.run(provider, arguments, stack)
                if error := scope_error.get():
                    raise error
        except BaseException as raised:
            if raised is not error:
                raise

    signature = [each.replace(default=each.empty) for each in parameters(provider)]
    vars(make)["__signature__"] = inspect.Signature(signature)
    return make


def _from_scope(key: Any) -> Provider:
    async def resolved(connection: HTTPConnection) -> AsyncIterator[Any]:
        scope = get_scope(connection)
        try:
            yield await scope.resolve_async(key)
        except BaseException as error:
            scope.error = error
            raise

    return resolved


def _is_generator(provider: Provider) -> bool:
    return inspect.isasyncgenfunction(provider) or inspect.isgeneratorfunction(provider)
