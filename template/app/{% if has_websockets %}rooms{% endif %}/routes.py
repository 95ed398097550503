"""WebSockets: `/ws` is the lobby, `/ws/{room}` any other room."""

from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket

from app.kit.lifecycle import RootScopeDep
from app.kit.websockets import ConnectionHandler
from app.kit.wiring import HubDep
from app.rooms.endpoint import RoomEndpoint
from app.wiring import SettingsDep

router = APIRouter()


async def get_handler(
    websocket: WebSocket, hub: HubDep, root_scope: RootScopeDep, settings: SettingsDep
) -> ConnectionHandler:
    return ConnectionHandler(websocket, hub, root_scope, settings, RoomEndpoint())


HandlerDep = Annotated[ConnectionHandler, Depends(get_handler)]


@router.websocket("/ws")
async def enter_lobby(handler: HandlerDep) -> None:
    await handler.run("lobby")


@router.websocket("/ws/{room}")
async def enter_room(room: str, handler: HandlerDep) -> None:
    await handler.run(room)
