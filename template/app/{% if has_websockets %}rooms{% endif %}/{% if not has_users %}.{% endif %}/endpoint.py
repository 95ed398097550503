"""Connects the kit's WebSockets to this slice: members are anonymous."""

from uuid import uuid4

from app.kit.lifecycle import WorkScope
from app.kit.websockets import Member, SocketEndpoint
from app.rooms.messages import FROM_CLIENTS, Say
from app.rooms.service import RoomService


class RoomEndpoint(SocketEndpoint):
    messages = FROM_CLIENTS

    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        """Return a new name for each connection, whatever the token."""
        return Member(name=uuid4().hex)

    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        service = await scope.resolve(RoomService)
        await service.enter(room, member)

    async def receive(self, scope: WorkScope, room: str, member: Member, message: Say) -> None:
        service = await scope.resolve(RoomService)
        await service.receive(room, member, message)
