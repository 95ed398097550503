"""Connects the kit's WebSockets to this slice: members are signed-in users."""

from app.auth.service import Authenticator
from app.auth.tokens import AccessTokens
from app.kit.lifecycle import WorkScope
from app.kit.websockets import Member, SocketEndpoint
from app.rooms.messages import FROM_CLIENTS, Say
from app.rooms.service import RoomService


class RoomEndpoint(SocketEndpoint):
    messages = FROM_CLIENTS

    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        """Return the user's identity. Raise NotAuthenticated for an invalid access token."""
        if token is None:
            return None
        authenticator = await scope.resolve(Authenticator)
        tokens = await scope.resolve(AccessTokens)
        user = await authenticator.authenticate(token)
        return Member(name=str(user.id), expires_at=tokens.verify(token).expires_at)

    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        service = await scope.resolve(RoomService)
        await service.enter(room, member)

    async def receive(self, scope: WorkScope, room: str, member: Member, message: Say) -> None:
        service = await scope.resolve(RoomService)
        await service.receive(room, member, message)
