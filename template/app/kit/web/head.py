"""Answers HEAD on every route that has GET (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Pure ASGI middleware. It runs the GET route and sends its status and headers alone.

    The route's client seems to leave as soon as the headers are sent, so that a stream ends. A
    route that has HEAD and not GET is never reached.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        sent = False

        async def receive_until_sent() -> Message:
            return {"type": "http.disconnect"} if sent else await receive()

        async def send_headers(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                await send(message)
            elif not sent:
                sent = True
                await send({"type": "http.response.body", "body": b""})

        await self.app({**scope, "method": "GET"}, receive_until_sent, send_headers)
