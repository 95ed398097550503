"""Middleware that says how long a response took."""

from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ServerTiming:
    """Add `Server-Timing` to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = perf_counter()

        async def send_with_timing(message: Message) -> None:
            if message["type"] == "http.response.start":
                milliseconds = (perf_counter() - started_at) * 1000
                MutableHeaders(scope=message)["Server-Timing"] = f"app;dur={milliseconds:.1f}"
            await send(message)

        await self.app(scope, receive, send_with_timing)
