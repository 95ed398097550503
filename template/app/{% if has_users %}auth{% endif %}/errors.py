"""Sign-in errors."""

from collections.abc import Mapping

from app.kit.errors import ServiceError


class NotAuthenticated(ServiceError):
    """The caller's identity is unknown."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}  # RFC 9110, 11.6.1


class TooManyAttempts(ServiceError):
    """The caller must wait for `retry_after` seconds."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many attempts; try again later.")
        self.headers = {"Retry-After": str(retry_after)}
