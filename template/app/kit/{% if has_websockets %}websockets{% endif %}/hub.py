"""The rooms of this service, and the connections in them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import BaseModel

from app.kit.errors import Unavailable
from app.kit.outages import describe
from app.kit.settings import KitSettings
from app.kit.websockets.backplane import Backplane, open_backplane
from app.kit.websockets.codes import NOT_ALLOWED, NOT_AUTHENTICATED
from app.kit.websockets.connection import Connection, Outgoing
from app.kit.websockets.messages import Resync

logger = logging.getLogger(__name__)

_MESSAGE, _REMOVAL, _DISCONNECTION = "message", "removal", "disconnection"


class Hub:
    """Sends to rooms. There is one in each process, for routes, services, jobs and commands alike.

    A connection receives each message at most once, and those of one sender in one room in order.
    """

    def __init__(self, backplane: Backplane, max_connections: int) -> None:
        self._rooms: dict[str, set[Connection]] = {}
        self._connections: set[Connection] = set()
        self._max_connections = max_connections
        self._rechecking: asyncio.Task[None] | None = None
        self._backplane = backplane
        backplane.on_event = self._handle_event
        backplane.on_loss = self._handle_loss

    async def broadcast(self, room: str, message: BaseModel) -> None:
        """Send to everyone in the room, on every worker."""
        text = message.model_dump_json()
        self._deliver(room, text)
        # Let the connections send: a loop of broadcasts would fill their outboxes.
        await asyncio.sleep(0)
        await self._backplane.publish(_MESSAGE, room, text)

    async def remove(self, room: str, name: str) -> None:
        """Take a member out of a room at once, on every worker.

        A connection that is left without a room is closed with 4403. Refuse the member's entry
        first: its client may connect again.
        """
        self._remove(room, name)
        await self._backplane.publish(_REMOVAL, room, name)

    async def disconnect(self, name: str) -> None:
        """Close all connections of a member with 4401, on every worker.

        Make `SocketEndpoint.enter` refuse the member first: its client may connect again.
        """
        self._disconnect(name)
        await self._backplane.publish(_DISCONNECTION, "", name)

    def send(self, connection: Connection, message: BaseModel) -> None:
        """Send to one connection of this worker."""
        connection.send(Outgoing.of(message.model_dump_json()))

    async def join(self, connection: Connection, room: str) -> None:
        """Add a connection to a room, whose messages it receives from now on."""
        await self._backplane.listen()
        self._rooms.setdefault(room, set()).add(connection)
        connection.rooms.add(room)
        connection.entering = None

    def leave(self, connection: Connection, room: str) -> None:
        connection.rooms.discard(room)
        members = self._rooms.get(room, set())
        members.discard(connection)
        if not members:
            self._rooms.pop(room, None)

    def leave_all(self, connection: Connection) -> None:
        for room in tuple(connection.rooms):
            self.leave(connection, room)

    def members(self, room: str) -> frozenset[Connection]:
        """Return the room's connections to this worker."""
        return frozenset(self._rooms.get(room, ()))

    @contextmanager
    def track(self, connection: Connection, room: str) -> Iterator[None]:
        """Count a connection that is about to enter a room.

        Raise Unavailable if this worker has too many.
        """
        if len(self._connections) >= self._max_connections:
            raise Unavailable("Too many connections right now.")
        self._connections.add(connection)
        connection.entering = room
        try:
            yield
        finally:
            self._connections.discard(connection)

    async def close(self) -> None:
        if self._rechecking is not None:
            self._rechecking.cancel()
            await asyncio.wait([self._rechecking])

    def _handle_event(self, kind: str, room: str, content: str) -> None:
        if kind == _MESSAGE:
            self._deliver(room, content)
        elif kind == _REMOVAL:
            self._remove(room, content)
        elif kind == _DISCONNECTION:
            self._disconnect(content)

    def _deliver(self, room: str, text: str) -> None:
        message = Outgoing.of(text)
        for connection in self.members(room):
            connection.send(message)

    def _remove(self, room: str, name: str) -> None:
        for connection in tuple(self._connections):
            if connection.name == name and room in (*connection.rooms, connection.entering):
                self.leave(connection, room)
                if not connection.rooms:
                    connection.close(NOT_ALLOWED)

    def _disconnect(self, name: str) -> None:
        for connection in tuple(self._connections):
            if connection.name == name:
                connection.close(NOT_AUTHENTICATED)

    def _handle_loss(self) -> None:
        message = Outgoing.of(Resync().model_dump_json())
        for connection in frozenset[Connection]().union(*self._rooms.values()):
            connection.send(message)
        if self._rechecking is None or self._rechecking.done():
            self._rechecking = asyncio.create_task(self._recheck_all())

    async def _recheck_all(self) -> None:
        """Check members again, one at a time: a removal may have been lost as well."""
        for connection in tuple(self._connections):
            try:
                await connection.recheck()
            except Exception as error:
                logger.warning("membership of %s not checked: %s", connection.name, describe(error))


@asynccontextmanager
async def open_hub(settings: KitSettings) -> AsyncIterator[Hub]:
    async with open_backplane(settings) as backplane:
        hub = Hub(backplane, settings.websocket_max_connections)
        try:
            yield hub
        finally:
            await hub.close()
