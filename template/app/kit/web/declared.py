"""The errors that a route may raise, as `@raises` declares them."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, get_args

from fastapi.routing import RouteContext
from fastapi.security.base import SecurityBase

from app.kit.errors import Raisable, declared_errors
from app.kit.lifecycle.providers import function_of, needed


def declared(route: RouteContext) -> Iterator[Raisable]:
    """Yield what is declared on a route and on all that it needs.

    It needs its dependencies, the types of its parameters, what those have as parameters, and so
    on. Of a type that is provided by another name, such as a Protocol, nothing is known.
    """
    needs = [route.endpoint, *(each.dependency for each in route.dependencies)]
    seen = set()
    while needs:
        each = needs.pop()
        if each not in seen:
            seen.add(each)
            needs += _needs_of(each)
            yield from declared_errors(each)
            if isinstance(each, SecurityBase) and getattr(each, "auto_error", False):
                yield 401


@cache
def _needs_of(target: Any) -> list[Any]:
    """Return the types and the dependencies of the parameters of a function or a constructor."""
    found: list[Any] = []
    with suppress(Exception):  # a type of a library, whose annotations cannot be read
        for each in inspect.signature(function_of(target), eval_str=True).parameters.values():
            found += _types(each.annotation)
            if dependency := needed(each.annotation, each.default):
                found.append(dependency.provider)
    return found


def _types(annotation: Any) -> Iterator[type]:
    """Yield the types in an annotation: `X` of `Annotated[X, ...]` and of `X | None`."""
    if isinstance(annotation, type):
        yield annotation
    for each in get_args(annotation):
        yield from _types(each)
