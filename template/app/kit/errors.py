"""Domain errors. Services raise them; `app/kit/web/problems.py` turns them into responses."""

import re
from collections.abc import Iterator, Mapping

__all__ = ["InvalidText", "NotAllowed", "NotFound", "ServiceError", "Unavailable"]


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


def problem_types() -> Iterator[str]:
    """Yield the types of all errors that are defined by now."""
    classes = [ServiceError]
    while classes:
        yield classes[-1].problem_type()
        classes += classes.pop().__subclasses__()


class NotFound(ServiceError):
    """The resource does not exist, or the caller may not see it."""

    status = 404


class NotAllowed(ServiceError):
    """The caller is authenticated and lacks permission."""

    status = 403


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
