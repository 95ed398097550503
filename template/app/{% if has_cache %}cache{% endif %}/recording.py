"""Takes the complete response of a cached route before it is sent: what is stored is what was sent."""

import asyncio
import time
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.cache.responses import CompleteResponse, decoded

KEY = "app.cache.recorder"


class Answer(Protocol):
    """What a cached route wants to know, and to say."""

    async def complete(self, response: CompleteResponse) -> CompleteResponse:
        """Take the response; return the one to send."""

    def abandon(self, *, cancelled: bool) -> None:
        """Learn that there will be none, or a stream."""


class Recorder:
    """One request's `send`. A route that sets `answer` is handed its response; all others pass."""

    def __init__(self, send: Send) -> None:
        self.began_at = time.time()
        """In seconds since the epoch: before anything was read for the response."""
        self.answer: Answer | None = None
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if self.answer is None:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            await self._complete(message.get("body", b""))
        else:
            await self._pass_on(message)

    async def _complete(self, body: bytes) -> None:
        assert self.answer is not None
        assert self._start is not None
        response = CompleteResponse(self._start["status"], decoded(self._start["headers"]), body)
        response = await self.answer.complete(response)
        self.answer = None
        start = {**self._start, "status": response.status, "headers": response.raw_headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": response.body})

    async def _pass_on(self, message: Message) -> None:
        """Let a stream go its way."""
        self.abandon(cancelled=False)
        if self._start is not None:
            await self._send(self._start)
        await self._send(message)

    def abandon(self, *, cancelled: bool) -> None:
        if self.answer is not None:
            self.answer.abandon(cancelled=cancelled)
            self.answer = None


class RecordedResponses:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        recorder = scope[KEY] = Recorder(send)
        try:
            await self.app(scope, receive, recorder.send)
        except asyncio.CancelledError:
            recorder.abandon(cancelled=True)
            raise
        finally:
            recorder.abandon(cancelled=False)
