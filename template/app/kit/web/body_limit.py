"""Limits the size of request bodies.

FastAPI's own `max_body_size` responds in plain text from outside the middleware, without a request
id or CORS headers. This middleware responds with a problem, as for any other error.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Pure ASGI middleware. Raise 413 once a body is known to exceed `max_body_size` bytes."""

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        received = 0
        declared = next(
            (value for name, value in scope["headers"] if name == b"content-length"), b""
        )
        too_large = declared.isdigit() and int(declared) > self.max_body_size

        async def receive_within_limit() -> Message:
            nonlocal received
            if not too_large:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= self.max_body_size:
                    return message
            raise HTTPException(413, f"The request body is larger than {self.max_body_size} bytes.")

        await self.app(scope, receive_within_limit, send)
