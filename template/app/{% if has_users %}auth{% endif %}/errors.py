"""Why a caller is turned away."""

from collections.abc import Mapping

from app.errors import ServiceError


class NotAuthenticated(ServiceError):
    """The caller did not prove who they are."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}  # RFC 9110, 11.6.1


class TooManyAttempts(ServiceError):
    """The caller has to wait; `retry_after` is in seconds."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many attempts. Please wait a while.")
        self.headers = {"Retry-After": str(retry_after)}
