"""Where clients connect; `app/websockets/messages.py` has what they say."""

from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket

from app.scopes import RootScopeDep
from app.websockets.dependencies import ConnectionManagerDep
from app.websockets.handler import ConnectionHandler
from app.wiring import SettingsDep

router = APIRouter()


async def get_handler(
    websocket: WebSocket,
    manager: ConnectionManagerDep,
    root_scope: RootScopeDep,
    settings: SettingsDep,
) -> ConnectionHandler:
    return ConnectionHandler(websocket, manager, root_scope, settings)


Handler = Annotated[ConnectionHandler, Depends(get_handler)]


@router.websocket("/ws")
async def lobby(handler: Handler) -> None:
    await handler.run("lobby")


@router.websocket("/ws/{room}")
async def in_room(room: str, handler: Handler) -> None:
    await handler.run(room)
