"""Bounds the frames of a WebSocket that are no messages: empty fragments, pings and pongs.

A message counts against the rate limit of `ConnectionHandler`, a frame before it against nothing.
"""

import time
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from app.kit.server.http_protocol import BoundedHttpProtocol, unmapped

MAX_FRAMES = 500
"""Frames at once that end no message; more close the connection (1008)."""
FRAMES_PER_SECOND = 100
MAX_QUEUED = 1000
"""Messages at once that nobody has read yet."""
_SLICE = 4096
_MAX_HANDSHAKE_LINE = 8000  # what the library accepts
_MAX_HANDSHAKE_HEADERS = 120
_POLICY_VIOLATION = 1008


class UpgradingHttpProtocol(BoundedHttpProtocol):
    """Hands handshakes on; the library would not answer one that is too large for it."""

    def upgrade(self) -> None:
        if not self._should_upgrade():
            return
        lengths = [len(self.url), *(len(name) + len(value) for name, value in self.headers)]
        has_body = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        )
        if has_body or not self._is_idle():
            self.refuse(400)
        elif max(lengths) > _MAX_HANDSHAKE_LINE or len(lengths) > _MAX_HANDSHAKE_HEADERS:
            self.refuse(431)
        else:
            self.handle_websocket_upgrade()


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._frames = float(MAX_FRAMES)
        self._counted_at = time.monotonic()

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.client = unmapped(self.client)

    def data_received(self, data: bytes) -> None:
        # What arrives at once may be tens of thousands of frames: look at the bounds in between.
        for start in range(0, len(data), _SLICE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE])
            if self._frames < 0 or self.queue.qsize() > MAX_QUEUED:
                if self.conn.state is not State.OPEN:  # not accepted yet
                    self.transport.abort()
                    return
                self.conn.fail(_POLICY_VIOLATION, "too many frames")
                self.handle_parser_exception()

    def handle_text(self, event: Frame) -> None:
        self._count(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._count(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self._count(event)
        super().handle_cont(event)

    def handle_ping(self) -> None:
        self._count()
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self.pending_ping_payload is None or bytes(event.data) != self.pending_ping_payload:
            self._count()
        super().handle_pong(event)

    def _count(self, event: Frame | None = None) -> None:
        """Count a frame unless it ends a message (a token bucket)."""
        if event is not None and event.fin:
            return
        now = time.monotonic()
        earned = (now - self._counted_at) * FRAMES_PER_SECOND
        self._frames = min(self._frames + earned, MAX_FRAMES) - 1
        self._counted_at = now
