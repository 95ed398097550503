"""Providers as FastAPI knows them, the aliases that name them, and overrides.

`PoolDep = Annotated[Pool, Depends(get_pool)]` in a `dependencies.py` makes `get_pool` the provider
of `Pool`, in requests and outside. An alias elsewhere is FastAPI's alone. In tests,
`create_app(settings, [override(Pool, fake)])` replaces what is provided.
"""

import inspect
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from types import ModuleType
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

from fastapi import params
from starlette.requests import HTTPConnection

T = TypeVar("T")
Provider = Callable[..., Any]

_VALUES = {"builtins", "collections", "datetime", "decimal", "pathlib", "types", "typing", "uuid"}


class WiringError(LookupError):
    """Objects cannot be made as the wiring says. The message names the place and the remedy."""


class singleton:  # noqa: N801 (a decorator)
    """Decorate a provider whose object lives as long as the app.

    It runs once, when the root scope opens; requests get what it made.
    """

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def __call__(self, connection: HTTPConnection) -> Any:
        singletons = connection.scope["state"]["root_scope"].singletons
        if self not in singletons:
            remedy = "name its module as `dependencies` in `app/slices.py`"
            raise WiringError(f"{place(self)} was not made at start: {remedy}")
        return singletons[self]


class Override(NamedTuple):
    """`instance` replaces whatever is provided for `service`."""

    service: type[Any]
    instance: object


def override(service: type[T], instance: T) -> Override:
    """Return an override that reaches requests, WebSockets, streams and jobs.

    Raise TypeError if `instance` is not a `service`; `AsyncMock(spec=AsyncClient)` is one.
    """
    if not isinstance(instance, service):
        raise TypeError(f"this override takes a {service.__name__}, not {instance!r}")
    return Override(service, instance)


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
            if isinstance(value, singleton):
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


def not_provided(wanted: Any, known: Iterable[Any], asker: str = "a scope") -> WiringError:
    names = ", ".join(sorted(map(name_of, known)))
    remedy = f"provide it in a `dependencies.py` that `app/slices.py` names; there are: {names}"
    return WiringError(f"{asker} needs {name_of(wanted)}, which nothing provides: {remedy}")


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
    return provider.provider if isinstance(provider, singleton) else provider


def place(provider: Any) -> str:
    """Return the file and name of a provider."""
    function = function_of(provider)
    return f"{function.__module__.replace('.', '/')}.py: {name_of(function)}"


def name_of(anything: Any) -> str:
    return str(getattr(anything, "__name__", anything))
