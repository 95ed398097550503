"""Connects the kit's WebSockets to this slice: members are signed-in users."""

from dataclasses import dataclass

from app.auth.service import Authenticator
from app.auth.tokens import AccessTokens
from app.kit.lifecycle import WorkScope
from app.kit.websockets import Member, SocketEndpoint
from app.rooms.messages import FROM_CLIENTS, Say
from app.rooms.service import RoomService


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInMember(Member):
    access_token: str


class RoomEndpoint(SocketEndpoint):
    messages = FROM_CLIENTS

    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        """Return the user's identity. Raise NotAuthenticated for an invalid access token."""
        if token is None:
            return None
        tokens = await scope.resolve(AccessTokens)
        verified = tokens.verify(token)
        return SignedInMember(
            name=str(verified.user_id), expires_at=verified.expires_at, access_token=token
        )

    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        assert isinstance(member, SignedInMember)
        authenticator = await scope.resolve(Authenticator)
        await authenticator.authenticate(member.access_token)  # the user may have signed out
        service = await scope.resolve(RoomService)
        await service.enter(room, member)

    async def receive(self, scope: WorkScope, room: str, member: Member, message: Say) -> None:
        service = await scope.resolve(RoomService)
        await service.receive(room, member, message)
