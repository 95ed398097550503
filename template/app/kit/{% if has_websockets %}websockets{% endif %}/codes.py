"""Close codes: those of RFC 6455, 7.4, and this service's own, which are 4000 plus an HTTP status.

The server adds 1009 (message too large), 1011 (no answer to a ping) and 1012 (restarting, connect
again).
"""

from app.kit.errors import ServiceError, Unavailable

INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013  # the client reads too slowly, or the service cannot serve it now
NOT_AUTHENTICATED = 4401  # no valid token in time, or the token has expired
NOT_ALLOWED = 4403  # refused entry to the room, or removed from it
IDLE = 4408
TOO_FAST = 4429


def close_code(error: ServiceError) -> int:
    """Return the code that closes a connection for an error."""
    return TRY_AGAIN_LATER if isinstance(error, Unavailable) else 4000 + error.status
