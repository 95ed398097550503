"""The interface between a connection and the slice that it belongs to."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from app.kit.lifecycle import WorkScope


@dataclass(frozen=True, slots=True)
class Member:
    """A client that has been identified. Its name is shown to others.

    The connection closes at `expires_at`, in seconds since the epoch, unless the client sends a new
    token before.
    """

    name: str
    expires_at: float = math.inf


class SocketEndpoint(ABC):
    """A slice's part in its connections.

    Each call gets a scope of its own, so that an idle connection holds nothing. Raise a
    `ServiceError` to refuse: before the connection is accepted it becomes an HTTP response, in
    `receive` an `error` message, otherwise a close code.
    """

    messages: TypeAdapter[Any]
    """Made by `message_adapter()`."""

    @abstractmethod
    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        """Return the client's identity, or None if it has to sign in with its first message.

        The token is None if the client sent none when it connected.
        """

    @abstractmethod
    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        """Raise a ServiceError unless the member may be in the room.

        Asked on entry, when the client sends a new token, and after messages between workers may
        have been lost.
        """

    @abstractmethod
    async def receive(self, scope: WorkScope, room: str, member: Member, message: Any) -> None:
        """Handle one message."""
