"""Captures the complete response of a cached route before it is sent."""

import asyncio
import time
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.cache.responses import CompleteResponse, decode_headers

KEY = "app.kit.cache.recording"


class Listener(Protocol):
    """Records the response of a cached route."""

    async def complete(self, response: CompleteResponse) -> CompleteResponse:
        """Return the response to send instead."""

    def abandon(self, *, cancelled: bool) -> None:
        """Called if there is no complete response: an error, a stream, a cancelled request."""


class Recording:
    """One request's `send`. It captures the response if a route has set `listener`."""

    def __init__(self, send: Send) -> None:
        self.began_at = time.time()
        """In seconds since the epoch, before anything was read for the response."""
        self.listener: Listener | None = None
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if self.listener is None:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            await self._complete(message.get("body", b""))
        else:
            await self._pass_stream(message)

    async def _complete(self, body: bytes) -> None:
        assert self.listener is not None
        assert self._start is not None
        headers = decode_headers(self._start["headers"])
        response = CompleteResponse(self._start["status"], headers, body)
        response = await self.listener.complete(response)
        self.listener = None
        start = {**self._start, "status": response.status, "headers": response.raw_headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": response.body})

    async def _pass_stream(self, message: Message) -> None:
        self.abandon(cancelled=False)
        if self._start is not None:
            await self._send(self._start)
        await self._send(message)

    def abandon(self, *, cancelled: bool) -> None:
        if self.listener is not None:
            self.listener.abandon(cancelled=cancelled)
            self.listener = None


class ResponseRecorder:
    """Pure ASGI middleware that records the responses of cached routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        recording = scope[KEY] = Recording(send)
        try:
            await self.app(scope, receive, recording.send)
        except asyncio.CancelledError:
            recording.abandon(cancelled=True)
            raise
        finally:
            recording.abandon(cancelled=False)
