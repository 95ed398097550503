"""Domain errors. Services raise them; `app/kit/web/problems.py` turns them into responses.

`@raises(NotFound)` below the decorator of a route documents what it may answer.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

__all__ = ["InvalidText", "NotAllowed", "NotFound", "ServiceError", "Unavailable", "raises"]

T = TypeVar("T")

_DECLARED = "declared_errors"


class ServiceError(Exception):
    """Base of the errors whose message may be shown to the caller.

    `status` and `headers` are those of the HTTP response; a subclass sets its own.
    """

    status: int = 400
    headers: Mapping[str, str] = {}

    @classmethod
    def problem_type(cls) -> str:
        """Return the `type` of the problem (RFC 9457, 3.1.1): it tells errors of a status apart."""
        if cls is ServiceError:
            return "about:blank"
        return "/problems/" + re.sub("(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


Raisable = type[ServiceError] | int
"""A class of errors, or a status of FastAPI's HTTPException."""


def raises(*errors: Raisable) -> Callable[[T], T]:
    """Declare the errors of a route, which OpenAPI then lists. Write it below the route decorator.

    On a dependency or a class, it counts for every route that needs it, at any depth.
    """

    def declare(target: T) -> T:
        setattr(target, _DECLARED, (*declared_errors(target), *errors))
        return target

    return declare


def declared_errors(target: object) -> tuple[Raisable, ...]:
    """Return what `@raises` declares."""
    declared: tuple[Raisable, ...] = getattr(target, _DECLARED, ())
    return declared


class NotFound(ServiceError):
    """The resource does not exist, or the caller may not see it."""

    status = 404


class NotAllowed(ServiceError):
    """The caller is authenticated and lacks permission."""

    status = 403


class InvalidRequest(ServiceError):
    """A parameter or the body is not as documented; `errors` says where."""

    status = 422


class InvalidText(ServiceError):
    """Text that cannot be stored: it contains NUL, or half of a surrogate pair."""

    status = 422
    detail = "The request contains text that is not valid: NUL, or half of a surrogate pair."

    def __init__(self) -> None:
        super().__init__(self.detail)


class Unavailable(ServiceError):
    """A dependency of this service does not answer; a retry may succeed."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": "1"}
