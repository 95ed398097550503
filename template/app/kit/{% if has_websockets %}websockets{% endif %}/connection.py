"""One client: its outbox, and the task that sends from it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Self

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.kit.settings import KitSettings
from app.kit.websockets.codes import TRY_AGAIN_LATER

# Raised by sending after the client has left or the server has closed the connection.
_GONE = (WebSocketDisconnect, RuntimeError)


class Outgoing(NamedTuple):
    """A message encoded once for all recipients, and its size in bytes."""

    text: str
    size: int

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(text, len(text.encode()))


class Connection:
    """One client's connection. `send()` never waits: a client that reads too slowly is closed."""

    def __init__(
        self, websocket: WebSocket, settings: KitSettings, recheck: Callable[[], Awaitable[None]]
    ) -> None:
        self.name = ""
        self.rooms: set[str] = set()
        self.entering: str | None = None
        """The room that the client has asked for and not entered yet."""
        self.recheck = recheck
        """Closes the connection if its member may no longer be in its room."""
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
        """Queue a message. Close the connection if the outbox is full and the client is stalled."""
        if self.close_code is not None:
            return
        self._size += message.size
        full = len(self._outbox) >= self._max_messages or self._size > self._max_size
        # Until the writer has run, a full outbox does not mean that the client is slow.
        if full and self._sending:
            self.close(TRY_AGAIN_LATER)
            return
        self._outbox.append(message)
        self._wake.set()

    def close(self, code: int) -> None:
        """Drop what is queued and close. Later codes are ignored."""
        if self.close_code is None:
            self.close_code = code
        self._outbox.clear()
        self._wake.set()

    async def write(self) -> None:
        """Send from the outbox until the connection is closed or lost."""
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
                    self.close(TRY_AGAIN_LATER)
                except _GONE:
                    return
                self._sending = False

    async def end(self) -> None:
        """Send the close code, unless the client is gone or takes too long."""
        states = (self._websocket.application_state, self._websocket.client_state)
        if self.close_code is None or set(states) != {WebSocketState.CONNECTED}:
            return
        with suppress(TimeoutError, *_GONE):
            async with asyncio.timeout(self._send_timeout):
                await self._websocket.close(self.close_code)
