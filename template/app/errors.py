"""What can go wrong in the domain. Services raise these; `app/web/problems.py` turns them into responses."""

from collections.abc import Mapping


class ServiceError(Exception):
    """Base of the errors whose text may be shown to the caller.

    `status` and `headers` are what HTTP says for it; a subclass sets its own.
    """

    status: int = 400
    headers: Mapping[str, str] = {}


class NotFound(ServiceError):
    """There is no such thing, or it is not the caller's to see."""

    status = 404


class NotAllowed(ServiceError):
    """The caller is known and may not do this."""

    status = 403


class Unavailable(ServiceError):
    """Something this service depends on does not answer; trying again may help."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": "1"}
