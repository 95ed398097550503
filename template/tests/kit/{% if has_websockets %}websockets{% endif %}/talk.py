"""A small slice for tests of the kit: they stay true whatever becomes of `app/rooms`."""

from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, WebSocket
from pydantic import Field

from app.kit.errors import ServiceError
from app.kit.lifecycle import RootScopeDep, WorkScope
from app.kit.websockets import (
    ConnectionHandler,
    Hub,
    Member,
    Message,
    SocketEndpoint,
    message_adapter,
)
from app.kit.wiring import HubDep, KitSettingsDep


class Say(Message):
    type: Literal["say"]
    text: str = Field(min_length=1)


class Said(Message):
    type: Literal["said"] = "said"
    room: str
    sender: str
    text: str


class InvalidToken(ServiceError):
    status = 401


class TalkEndpoint(SocketEndpoint):
    """A token is a name, or a name, `_` and its expiry. Without a token, a name is made up."""

    messages = message_adapter(Say)

    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        if token in ("", "wrong"):
            raise InvalidToken("The token is invalid.")
        name, _, expires_at = (token or uuid4().hex).partition("_")
        return Member(name, float(expires_at or "inf"))

    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        """Let everyone in."""

    async def receive(self, scope: WorkScope, room: str, member: Member, message: Any) -> None:
        hub = await scope.resolve(Hub)
        await hub.broadcast(room, Said(room=room, sender=member.name, text=message.text))


def talk_router(endpoint: SocketEndpoint) -> APIRouter:
    router = APIRouter()

    @router.websocket("/talk/{room}")
    async def talk(
        websocket: WebSocket,
        room: str,
        hub: HubDep,
        root_scope: RootScopeDep,
        settings: KitSettingsDep,
    ) -> None:
        await ConnectionHandler(websocket, hub, root_scope, settings, endpoint).run(room)

    return router
