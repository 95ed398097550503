"""The scope of a request under the container."""

import sys

from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.lifecycle.scopes import OPENED, ObjectScope


class RequestScopes:
    """Pure ASGI middleware. Closes a request's scope after the response and background tasks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened: list[ObjectScope] = []  # a list, which copies of the ASGI scope share
        scope[OPENED] = opened
        try:
            await self.app(scope, receive, send)
        finally:
            while opened:  # emptied, since each refers to its connection, and that to this list
                await opened.pop().__aexit__(*sys.exc_info())
