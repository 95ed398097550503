"""Sign-in errors."""

from collections.abc import Mapping

from app.kit.errors import ServiceError


class NotAuthenticated(ServiceError):
    """The caller's identity is unknown."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}  # RFC 9110, 11.6.1
