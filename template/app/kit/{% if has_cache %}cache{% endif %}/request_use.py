"""What a route and its dependencies, at any depth, read of a request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from pydantic.fields import FieldInfo

RESOLVED = "app.connection_resolved"
"""In the ASGI scope: the lifecycle has handed the request itself to an object."""


@dataclass(frozen=True, slots=True)
class RequestUse:
    takes_request: bool
    """Whether one of them takes the request itself, and may read anything of it."""
    query: frozenset[str]
    """The names of query parameters; some may be parameters of the path."""
    headers: tuple[str, ...]
    """The names of headers and, for cookies and security schemes, what they are called."""

    @classmethod
    def of(cls, route: Callable[..., Any]) -> "RequestUse":
        """Return what a route reads. Raise FastAPIError for parameters that FastAPI refuses."""
        dependants = list(_walk(get_dependant(path="", call=route)))
        fields = [field for each in dependants for field in each.query_params]
        names = [_names(field.field_info) for field in fields]
        keys = [each.call.model.name for each in dependants if isinstance(each.call, APIKeyQuery)]
        return cls(
            takes_request=any(map(_takes_request, dependants)) or None in names,
            query=frozenset(name for each in names for name in each or ()) | {*keys},
            headers=tuple(name for each in dependants for name in _headers(each)),
        )


def _walk(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from _walk(each)


def _takes_request(dependant: Dependant) -> bool:
    """Tell whether it takes the request; the kit's own providers only take singletons from it."""
    module = getattr(dependant.call, "__module__", "")
    is_own = module.startswith("app.kit.lifecycle") or isinstance(dependant.call, SecurityBase)
    found = dependant.request_param_name or dependant.http_connection_param_name
    return found is not None and not is_own


def _names(info: FieldInfo) -> list[str] | None:
    """Return the names of a parameter, those of a model's fields; None if it may read any."""
    model = info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        if model.model_config.get("extra", "ignore") != "ignore":
            return None
        found = [
            _alias(field) if field.validation_alias else field.alias or name
            for name, field in model.model_fields.items()
        ]
    else:
        found = [_alias(info)]
    return None if None in found else [str(name) for name in found]


def _alias(info: FieldInfo) -> str | None:
    """Return the name that is read, None if there is not just one."""
    alias = info.validation_alias or info.alias
    return alias if isinstance(alias, str) else None


def _headers(dependant: Dependant) -> Iterator[str]:
    for field in dependant.header_params:
        yield from _names(field.field_info) or ["any header"]
    yield from ("Cookie" for _ in dependant.cookie_params)
    match dependant.call:
        case APIKeyQuery():
            yield f"the query parameter {dependant.call.model.name}"
        case APIKeyHeader():
            yield dependant.call.model.name
        case APIKeyCookie():
            yield "Cookie"
        case SecurityBase():
            yield "Authorization"
