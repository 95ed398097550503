"""The types of fields such as `{user.id}` in `@cached`."""

import inspect
from datetime import date
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

IDENTIFIERS = "a str, an int, a UUID, a date or an Enum"
_TYPES = (str, int, UUID, date, Enum)


def is_identifier(kind: Any) -> bool:
    """Tell whether values of a type have a text of their own; others may show their address.

    A type that says nothing (`Any`) is taken for one: the value is checked when a request comes.
    """
    kind = getattr(kind, "__supertype__", getattr(kind, "__value__", kind))  # NewType, `type X`
    if get_origin(kind) in (Union, UnionType):
        return all(map(is_identifier, get_args(kind)))
    if get_origin(kind) is Literal:
        return all(isinstance(value, _TYPES) for value in get_args(kind))
    return kind is Any or not isinstance(kind, type) or issubclass(kind, _TYPES)


def type_of_field(field: str, signature: inspect.Signature) -> Any:
    """Return the annotated type of `user.id`, where `user` is a parameter; `Any` if unknown."""
    name, *attributes = field.split(".")
    if name not in signature.parameters:  # `items[0]`
        return Any
    found = _plain(signature.parameters[name].annotation)
    for attribute in attributes:
        found = _type_of_attribute(found, attribute)
    return found


def _type_of_attribute(owner: Any, name: str) -> Any:
    try:
        member = getattr(owner, name, None)
        if isinstance(member, property):
            return _plain(get_type_hints(member.fget).get("return", Any))
        return _plain(get_type_hints(owner).get(name, Any))
    except (NameError, TypeError):  # an annotation that only type checkers can read
        return Any


def _plain(annotation: Any) -> Any:
    """Return the type of a value without `Annotated`, or the `Mapped` of a model."""
    if annotation is inspect.Parameter.empty:
        return Any
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if getattr(get_origin(annotation), "__name__", "") == "Mapped":
        return _plain(get_args(annotation)[0])
    return annotation
