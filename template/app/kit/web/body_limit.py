"""Limits request bodies: their size, their encoding and the time that they take.

FastAPI's own `max_body_size` responds in plain text from outside the middleware, without a request
id or CORS headers. This middleware responds with a problem, as for any other error.
"""

import asyncio
import math
import re
from contextlib import suppress
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.settings import KitSettings

_MIN_BYTES_PER_SECOND = 1024
_DRAIN_SECONDS = 5.0
_MAX_UNREAD = 64 * 1024 * 1024
_PARSED = re.compile("json|urlencoded")  # wherever: parsers are lenient with its spelling
_UTF_8 = ("utf-8", "utf8")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)")


class BodyLimit:
    """Pure ASGI middleware. Raise 413, 415 or 408 when a route reads a body that exceeds a limit.

    JSON and URL-encoded forms are parsed at once on the event loop, so that they may have
    `max_json_size` bytes only; other bodies, such as files, may have `max_body_size`. A charset
    other than UTF-8 is refused: decoding some of them takes quadratic time. A body that takes
    longer than `body_timeout` seconds must arrive at a kilobyte per second.
    """

    def __init__(self, app: ASGIApp, settings: KitSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        body = _Body(scope, receive, self.settings)
        await self.app(scope, body.receive, send)


class _Body:
    """The body of one request, which is looked at when the route reads it."""

    def __init__(self, scope: Scope, receive: Receive, settings: KitSettings) -> None:
        self._scope = scope
        self._receive = receive
        self._settings = settings
        self._limit = -1
        self._received = 0
        self._started = 0.0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        if self._limit < 0:
            await self._begin()
        slack = self._settings.body_timeout + self._received / _MIN_BYTES_PER_SECOND
        try:
            async with asyncio.timeout_at(self._started + slack):
                message = await self._receive()
        except TimeoutError:
            close = {"Connection": "close"}
            raise HTTPException(408, "The request body arrives too slowly.", close) from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body")
        if self._received > self._limit:
            await self._refuse(413, f"The request body is larger than {self._limit} bytes.")
        return message

    async def _begin(self) -> None:
        """Look at the headers. Raise HTTPException for a body that is not worth reading."""
        self._started = asyncio.get_running_loop().time()
        headers = Headers(scope=self._scope)
        content_type = headers.get("content-type", "").lower()
        self._limit = self._settings.max_body_size
        if _PARSED.search(content_type):
            self._limit = min(self._limit, self._settings.max_json_size)
        if _declared_size(headers) > self._limit:
            await self._refuse(413, f"The request body is larger than {self._limit} bytes.")
        if any(charset not in _UTF_8 for charset in _CHARSET.findall(content_type)):
            await self._refuse(415, "The charset of a request must be UTF-8.")

    async def _refuse(self, status: int, detail: str) -> NoReturn:
        """Read the rest of the body, then raise: a connection with unread data would be reset.

        A client that asks before it sends (`Expect`) is not waited for.
        """
        unread = 0 if "expect" in Headers(scope=self._scope) else _MAX_UNREAD
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while unread > 0 and not self._complete:
                    message = await self._receive()
                    unread -= len(message.get("body", b""))
                    self._complete = not message.get("more_body")
        # What follows an unread body on a connection could be taken for the next request.
        headers = None if self._complete else {"Connection": "close"}
        raise HTTPException(status, detail, headers)


def _declared_size(headers: Headers) -> float:
    """Return the `Content-Length`; 0 if there is none, or none that is valid."""
    declared = headers.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()):
        return 0
    return int(declared) if len(declared) < 20 else math.inf
