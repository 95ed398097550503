"""One client: what it is still to be sent, and the one task that sends it."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import NamedTuple, Self

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.settings import Settings
from app.websockets import codes

_GONE = (WebSocketDisconnect, RuntimeError)
"""What sending raises to a client that has left, or that the server has closed for what it sent."""


class Outgoing(NamedTuple):
    """A message as it is sent, to one or to many: it is encoded once."""

    text: str
    size: int
    """Bytes."""

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(text, len(text.encode()))


class Connection:
    """`send` never waits. Who takes what it is sent too slowly is closed, and delays nobody."""

    def __init__(self, websocket: WebSocket, settings: Settings) -> None:
        self.name = ""
        """Who it is, as others see it."""
        self.rooms: set[str] = set()
        self.close_code: int | None = None
        self._websocket = websocket
        self._outbox: deque[Outgoing] = deque()
        self._size = 0
        self._max_messages = settings.websocket_outbox_messages
        self._max_size = settings.websocket_outbox_size
        self._send_timeout = settings.websocket_send_timeout
        self._wake = asyncio.Event()
        self._sending = False

    def send(self, message: Outgoing) -> None:
        """Put a message into the outbox; one that is full while the client takes nothing closes the connection."""
        if self.close_code is not None:
            return
        self._size += message.size
        full = len(self._outbox) >= self._max_messages or self._size > self._max_size
        # Before the writer has had its turn, a full outbox says that much was sent, not that the client is slow.
        if full and self._sending:
            self.close(codes.TRY_AGAIN_LATER)
            return
        self._outbox.append(message)
        self._wake.set()

    def close(self, code: int) -> None:
        """Send nothing more, and close. The first code counts."""
        if self.close_code is None:
            self.close_code = code
        self._outbox.clear()
        self._wake.set()

    async def write(self) -> None:
        """Send what is in the outbox, until the connection is to be closed or is gone."""
        while self.close_code is None:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                message = self._outbox.popleft()
                self._size -= message.size
                self._sending = True
                try:
                    async with asyncio.timeout(self._send_timeout):
                        await self._websocket.send_text(message.text)
                except TimeoutError:
                    self.close(codes.TRY_AGAIN_LATER)
                except _GONE:
                    return
                self._sending = False

    async def end(self) -> None:
        """Tell the client the code, if it can still be told in time."""
        states = (self._websocket.application_state, self._websocket.client_state)
        if self.close_code is None or set(states) != {WebSocketState.CONNECTED}:
            return
        with suppress(TimeoutError, *_GONE):
            async with asyncio.timeout(self._send_timeout):
                await self._websocket.close(self.close_code)
