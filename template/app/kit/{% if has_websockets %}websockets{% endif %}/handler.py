"""Runs one connection: admit the client, read, answer, close."""

import asyncio
import logging
import re
import time
from contextlib import suppress

from pydantic import ValidationError
from starlette.types import Message as Event
from starlette.websockets import WebSocket

from app.kit.errors import NotAllowed, NotFound, ServiceError, Unavailable
from app.kit.lifecycle import RootScope
from app.kit.settings import KitSettings
from app.kit.websockets.codes import (
    IDLE,
    INTERNAL_ERROR,
    NOT_AUTHENTICATED,
    TOO_FAST,
    close_code,
)
from app.kit.websockets.connection import Connection
from app.kit.websockets.endpoint import Member, SocketEndpoint
from app.kit.websockets.hub import Hub
from app.kit.websockets.messages import Authenticate, Error, Ping, Pong, Ready

logger = logging.getLogger(__name__)

_ROOM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUBPROTOCOL = "bearer"


class ConnectionHandler:
    """Handles one connection for a slice's endpoint."""

    def __init__(
        self,
        websocket: WebSocket,
        hub: Hub,
        root_scope: RootScope,
        settings: KitSettings,
        endpoint: SocketEndpoint,
    ) -> None:
        self.websocket = websocket
        self.hub = hub
        self.root_scope = root_scope
        self.settings = settings
        self.endpoint = endpoint
        self.connection = Connection(websocket, settings, self.recheck)
        self._room = ""
        self._member: Member | None = None
        self._handling = False
        self._allowance = float(settings.websocket_burst)
        self._counted_at = time.monotonic()

    async def run(self, room: str) -> None:
        """Return when the connection has ended. An error before it is accepted is an HTTP response.

        Raise NotFound for an invalid room name, NotAllowed for a page of a foreign origin,
        Unavailable if there are too many connections, and any ServiceError of the endpoint.
        """
        self._room = room
        self._check_request()
        with self.hub.track(self.connection, room):
            token = _subprotocol_token(self.websocket)
            member = await self._authenticate(token)
            if member is not None:
                await self._enter(member)
            await self.websocket.accept(None if token is None else _SUBPROTOCOL)
            try:
                await self._exchange()
            finally:
                extra = {"room": room, "sender": self.connection.name}
                logger.info(
                    "connection closed", extra={**extra, "code": self.connection.close_code}
                )

    def _check_request(self) -> None:
        """Raise NotFound or NotAllowed; the latter prevents cross-site WebSocket hijacking."""
        if not _ROOM.fullmatch(self._room):
            raise NotFound("Room names are up to 64 letters, digits, hyphens and underscores.")
        origin = self.websocket.headers.get("origin")
        own_host = self.websocket.headers.get("host")
        allowed = self.settings.cors_origins
        if (
            origin
            and origin not in allowed
            and "*" not in allowed
            and origin.partition("://")[2] != own_host
        ):
            raise NotAllowed("Pages of this origin may not connect; see CORS_ORIGINS.")

    async def _authenticate(self, token: str | None) -> Member | None:
        async with self.root_scope.new_scope() as scope:
            return await self.endpoint.authenticate(scope, token)

    async def _enter(self, member: Member) -> None:
        """Raise a ServiceError unless the member may be in the room."""
        self.connection.name = member.name
        async with self.root_scope.new_scope() as scope:
            await self.endpoint.enter(scope, self._room, member)
        if self.connection.close_code is not None:
            raise NotAllowed("You were removed from this room.")
        self._member = member

    async def _exchange(self) -> None:
        """Read and write until the connection ends, then close it."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self.connection.write())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if self.connection.close_code is not None and not self._handling:
                reading.cancel()
            # A message received before the end is handled to completion.
            await asyncio.wait([reading], timeout=self.settings.websocket_send_timeout)
        finally:
            self.hub.leave_all(self.connection)
            reading.cancel()
            writing.cancel()
            results = await asyncio.gather(reading, writing, return_exceptions=True)
        failures = [each for each in results if isinstance(each, Exception)]
        if failures:
            self.connection.close(INTERNAL_ERROR)
        await self.connection.end()
        if failures:
            raise failures[0]

    async def _read(self) -> None:
        """Handle messages until either side closes the connection."""
        if self._member is None:
            await self._sign_in()
        if self._member is None:
            return
        await self.hub.join(self.connection, self._room)
        self.hub.send(self.connection, Ready(room=self._room, sender=self._member.name))
        while (data := await self._receive(self._member.expires_at)) is not None:
            self._handling = True
            try:
                await self._handle(data, self._member)
            except ValidationError as error:
                self.hub.send(self.connection, Error(detail=_summary(error)))
            except ServiceError as error:
                self.hub.send(self.connection, Error(detail=str(error)))
            except Exception:
                logger.exception("message not handled")
                self.hub.send(self.connection, Error(detail="Internal error."))
            finally:
                self._handling = False

    async def _sign_in(self) -> None:
        """Authenticate with the first message; close the connection if that fails."""
        data = await self._receive(time.time() + self.settings.websocket_sign_in_timeout)
        if data is None:
            return
        try:
            message = self.endpoint.messages.validate_json(data)
            if isinstance(message, Authenticate):
                member = await self._authenticate(message.access_token)
                if member is not None:
                    await self._enter(member)
                    return
        except ServiceError as error:
            self.connection.close(close_code(error))
        except ValidationError:
            pass
        self.connection.close(NOT_AUTHENTICATED)

    async def _receive(self, expires_at: float) -> bytes | None:
        """Return the next message; None, with the connection closed, if there is none to handle."""
        if self.connection.close_code is not None:
            return None
        event: Event = {}
        timeout = min(self.settings.websocket_idle_timeout, expires_at - time.time())
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                event = await self.websocket.receive()
        data: bytes = event.get("bytes") or (event.get("text") or "").encode()
        if event.get("type") == "websocket.disconnect":
            self.connection.close(event["code"])
        elif time.time() >= expires_at:
            self.connection.close(NOT_AUTHENTICATED)
        elif not event:
            self.connection.close(IDLE)
        elif not self._is_within_rate():
            self.connection.close(TOO_FAST)
        else:
            return data
        return None

    def _is_within_rate(self) -> bool:
        """Count a message and return whether it is within the rate (a token bucket)."""
        now = time.monotonic()
        earned = (now - self._counted_at) * self.settings.websocket_rate
        self._allowance = min(self._allowance + earned, self.settings.websocket_burst) - 1
        self._counted_at = now
        return self._allowance >= 0

    async def _handle(self, data: bytes, member: Member) -> None:
        message = self.endpoint.messages.validate_json(data)
        if isinstance(message, Ping):
            self.hub.send(self.connection, Pong())
        elif isinstance(message, Authenticate):
            renewed = await self._authenticate(message.access_token)
            if renewed is None or renewed.name != member.name:
                raise NotAllowed("This token is for someone else: open another connection.")
            await self._enter_again(renewed)
        else:
            async with self.root_scope.new_scope() as scope:
                await self.endpoint.receive(scope, self._room, member, message)

    async def _enter_again(self, member: Member) -> None:
        """Close the connection if its member may no longer be in the room. Raise Unavailable."""
        try:
            await self._enter(member)
        except Unavailable:
            raise
        except ServiceError as error:
            self.connection.close(close_code(error))

    async def recheck(self) -> None:
        """Close the connection if its member may no longer be in the room. Raise Unavailable."""
        if self._member is not None:
            await self._enter_again(self._member)


def _subprotocol_token(websocket: WebSocket) -> str | None:
    """Return the token of a client that connects with the subprotocols "bearer" and its token.

    A page does so by `new WebSocket(url, ["bearer", token])`. Never put a token into the URL, which
    is logged on the way.
    """
    protocols: list[str] = websocket.scope["subprotocols"]
    if protocols[:1] != [_SUBPROTOCOL]:
        return None
    return protocols[1] if len(protocols) == 2 else ""


def _summary(error: ValidationError) -> str:
    """Return where the message is invalid and why, in at most 300 characters."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(": ".join([*map(str, each["loc"]), each["msg"]]) for each in faults)[:300]
