"""Bounds what a connection may send before and between requests.

uvicorn with httptools reads heads of any size, any number of requests at once, and waits for ever
for a head that does not come. Its h11 implementation has bounds and takes twice the CPU.
"""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import ClassVar
from weakref import WeakSet

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.kit.client_ip import unmap

logger = logging.getLogger(__name__)

MAX_HEAD_SIZE = 64 * 1024
"""Bytes of a request line and headers, or of a chunk's extension and the trailers."""
MAX_PIPELINED = 16
"""Requests that wait for the one before; clients that send more are disconnected."""
HEAD_TIMEOUT_SECONDS = 10.0
"""For a request's head, from its first byte or from the beginning of the connection."""
_LAST_HEAD_SECONDS = 0.5
"""For a head that is on its way when the server stops, or not even begun."""
_WATCH_SECONDS = 1.0
_REPORT_SECONDS = 60.0


class _Refused(Exception):
    """Raised in a callback of the parser, to stop it."""

    def __init__(self, status: int) -> None:
        self.status = status


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds: 431, 408 and 503, or the end of the connection."""

    _head_began_at: float | None = None
    _head_size = 0
    _in_message = False
    """Whether the parser is in a request, whose body may arrive after the response."""
    _unparsed = 0
    """Bytes since the parser has last called back: it collects them in memory."""
    _reported_at: ClassVar[float] = -_REPORT_SECONDS
    _watched: ClassVar[WeakSet[ServerState]] = WeakSet()
    """The servers whose connections are watched for silence."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = unmapped(self.client)
        self._head_began_at = self.loop.time()
        limit: int = getattr(self.config, "max_connections", 0)
        if limit and len(self.connections) > limit:
            self._report_limit(limit)
            self.refuse(503)
        elif self.server_state not in self._watched:
            self._watched.add(self.server_state)
            self._watch_silence()

    def shutdown(self) -> None:
        """End the connection, after the request that is on its way."""
        if self._head_began_at is not None:
            self.loop.call_later(_LAST_HEAD_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.upgrade()
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause.status if isinstance(cause, _Refused) else 400)
            return
        if self._unparsed > MAX_HEAD_SIZE:
            self.refuse(431)
        elif self._head_began_at is None and self._is_idle():
            self._wait_for_more()

    def upgrade(self) -> None:
        """Stay with HTTP: the request is served as it is (RFC 9110, 7.8)."""

    def on_message_begin(self) -> None:
        self._unparsed = self._head_size = 0
        self._in_message = True
        self._head_began_at = self.loop.time()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _Refused(0)
        if self._stopping:
            self.app_state["stopping"] = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        self._head_began_at = None
        super().on_headers_complete()
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        self._in_message = False
        self._head_began_at = None
        super().on_message_complete()

    @property
    def _stopping(self) -> bool:
        return getattr(self.config, "stopping", False)

    def _count(self, size: int) -> None:
        """Count a part of a head. Raise _Refused if it is too large, whatever its parts are."""
        self._unparsed = 0
        self._head_size += size + 32
        if self._head_size > MAX_HEAD_SIZE:
            raise _Refused(431)

    def _wait_for_more(self) -> None:
        """Bound the wait behind an early response, whose request has a body, or behind garbage."""
        if self._in_message or self._unparsed:
            self._head_began_at = self.loop.time()
        else:  # as after a response: what has just arrived ended that timer
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def refuse(self, status: int) -> None:
        """Answer unless another answer is on its way, and close the connection."""
        if not status or not self._is_idle():
            self.transport.abort()
            return
        text = HTTPStatus(status).phrase.encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\n" % (status, text)
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(head + length + text)
        self.transport.close()

    def _watch_silence(self) -> None:
        """Close every connection whose head does not come. One timer serves all connections."""
        latest = self.loop.time() - HEAD_TIMEOUT_SECONDS
        for each in tuple(self.connections):
            if not isinstance(each, BoundedHttpProtocol) or each.flow.read_paused:
                continue
            if each._head_began_at is not None and each._head_began_at < latest:
                each.refuse(408)
        if self.connections:
            self.loop.call_later(_WATCH_SECONDS, self._watch_silence)
        else:
            self._watched.discard(self.server_state)

    def _report_limit(self, limit: int) -> None:
        if time.monotonic() - BoundedHttpProtocol._reported_at >= _REPORT_SECONDS:
            BoundedHttpProtocol._reported_at = time.monotonic()
            logger.warning("more than %d connections: others are refused", limit)


def unmapped(client: tuple[str, int] | None) -> tuple[str, int] | None:
    """Return the address of a client; an IPv4 address written as IPv6 becomes IPv4."""
    return client and (unmap(client[0]), client[1])
