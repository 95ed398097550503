"""Domain errors. Services raise them; `app/kit/web/problems.py` turns them into responses."""

from collections.abc import Mapping

__all__ = ["NotAllowed", "NotFound", "ServiceError", "Unavailable"]


class ServiceError(Exception):
    """Base of the errors whose message may be shown to the caller.

    `status` and `headers` are those of the HTTP response; a subclass sets its own.
    """

    status: int = 400
    headers: Mapping[str, str] = {}


class NotFound(ServiceError):
    """The resource does not exist, or the caller may not see it."""

    status = 404


class NotAllowed(ServiceError):
    """The caller is authenticated and lacks permission."""

    status = 403


class Unavailable(ServiceError):
    """A dependency of this service does not answer; a retry may succeed."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": "1"}
