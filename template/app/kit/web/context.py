"""The outermost middleware: adds a request id to responses and log lines, and logs each request."""

import logging
import re
from secrets import token_hex
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.logs import request_id_var

logger = logging.getLogger("app.requests")

_START_MESSAGES = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
_MAX_PATH_LENGTH = 300  # in the log
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def _request_id(scope: Scope) -> str:
    """Return the client's `X-Request-ID` if it is well formed, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _WELL_FORMED.fullmatch(value):
            return str(value, "ascii")
    return token_hex(16)


class RequestContext:
    """Pure ASGI middleware. It does not log query strings, which may contain secrets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        request_id = _request_id(scope)
        token = request_id_var.set(request_id)
        started = perf_counter()
        ended: float | None = None
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status, ended
            if message["type"] in _START_MESSAGES:
                status = message.get("status", 101)  # accepting a WebSocket has no status
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            elif message["type"] == "websocket.close" and status is None:
                status = 403  # which the server sends in this case
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended = perf_counter()  # before background tasks

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            client = scope.get("client")
            logger.info(
                "request",
                extra={
                    "method": scope.get("method", "WEBSOCKET"),
                    "path": scope["path"][:_MAX_PATH_LENGTH],
                    "status": status,
                    "duration_ms": round(((ended or perf_counter()) - started) * 1000, 1),
                    "client": client[0] if client else None,
                },
            )
            request_id_var.reset(token)
