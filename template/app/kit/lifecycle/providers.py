"""Providers as FastAPI knows them, and the aliases that name them.

`PoolDep = Annotated[Pool, Depends(get_pool)]` in a `dependencies.py` makes `get_pool` the provider
of `Pool`, in requests and outside. An alias elsewhere is FastAPI's alone.
"""

import inspect
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from types import ModuleType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from fastapi import params
from starlette.requests import HTTPConnection

Provider = Callable[..., Any]

_VALUES = {"builtins", "collections", "datetime", "decimal", "pathlib", "types", "typing", "uuid"}


class WiringError(LookupError):
    """Objects cannot be made as the wiring says. The message names the place and the remedy."""


class Singleton:
    """A provider that runs once, when the root scope opens; requests get what it made."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def __call__(self, connection: HTTPConnection) -> Any:
        singletons = connection.scope["state"]["root_scope"].singletons
        if self not in singletons:
            remedy = "name its module as `dependencies` in `app/slices.py`"
            raise WiringError(f"{place(self)} was not made at start: {remedy}")
        return singletons[self]


def singleton(provider: Provider) -> Singleton:
    """Decorate a provider whose object lives as long as the app."""
    return Singleton(provider)


class Needed(NamedTuple):
    """The content of an alias: a type, its provider, and whether a scope keeps the object."""

    wanted: Any
    provider: Provider
    use_cache: bool


def find_aliases(modules: Iterable[ModuleType]) -> dict[str, Needed]:
    """Return the aliases of the modules by name. Raise WiringError if a singleton has none."""
    aliases, singletons = {}, {}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, Singleton):
                singletons[value] = name
            elif get_origin(value) is Annotated and (found := needed(value)):
                aliases[f"{module.__name__}.{name}"] = found
    for each in singletons.keys() - {provider for _, provider, _ in aliases.values()}:
        remedy = f"write `...Dep = Annotated[..., Depends({singletons[each]})]` below it"
        raise WiringError(f"{place(each)} is a singleton without an alias: {remedy}")
    return aliases


def two_providers(wanted: Any, *places: str) -> WiringError:
    remedy = "remove one, give each its own type, or move one that only routes need elsewhere"
    return WiringError(f"{name_of(wanted)} has two providers, {' and '.join(places)}: {remedy}")


def is_plain(wanted: Any) -> bool:
    """Return whether a type, such as `str` or `list[...]`, does not say which object it is."""
    return (get_origin(wanted) or wanted).__module__.partition(".")[0] in _VALUES


def cannot_resolve(wanted: Any, known: Iterable[Any]) -> LookupError:
    names = ", ".join(sorted(map(name_of, known)))
    remedy = "name its `dependencies.py` in `app/slices.py`"
    return LookupError(f"nothing provides {name_of(wanted)}: {remedy}; there are: {names}")


@cache
def parameters(provider: Provider) -> dict[inspect.Parameter, Needed | None]:
    """Return what each parameter of a provider needs; None if FastAPI fills it from a request."""
    found = inspect.signature(function_of(provider), eval_str=True).parameters.values()
    return {each: needed(each.annotation, each.default) for each in found}


def needed(annotation: Any, default: Any = None) -> Needed | None:
    is_annotated = get_origin(annotation) is Annotated
    wanted, *metadata = get_args(annotation) if is_annotated else [annotation]
    for each in (default, *metadata):
        if isinstance(each, params.Depends):
            return Needed(wanted, each.dependency or wanted, each.use_cache)
    return None


async def run(provider: Provider, arguments: dict[str, Any], stack: AsyncExitStack) -> Any:
    """Return what a provider makes; the stack closes it. It must not block, not even as `def`."""
    function = function_of(provider)
    if inspect.isasyncgenfunction(function):
        return await stack.enter_async_context(asynccontextmanager(function)(**arguments))
    if inspect.isgeneratorfunction(function):
        return stack.enter_context(contextmanager(function)(**arguments))
    made = function(**arguments)
    return await made if inspect.isawaitable(made) else made


def function_of(provider: Provider) -> Provider:
    return provider.provider if isinstance(provider, Singleton) else provider


def place(provider: Any) -> str:
    """Return the file and name of a provider."""
    function = function_of(provider)
    return f"{function.__module__.replace('.', '/')}.py: {name_of(function)}"


def name_of(anything: Any) -> str:
    return str(getattr(anything, "__name__", anything))
