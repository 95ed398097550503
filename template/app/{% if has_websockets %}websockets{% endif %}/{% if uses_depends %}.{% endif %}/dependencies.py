"""How this slice's objects are made. What a plain `get_...` makes lives for one request or message."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from app.scopes import singleton
from app.websockets.manager import ConnectionManager, open_connection_manager
from app.websockets.service import RoomService
from app.wiring import SettingsDep


@singleton
async def get_connection_manager(settings: SettingsDep) -> AsyncIterator[ConnectionManager]:
    async with open_connection_manager(settings) as connection_manager:
        yield connection_manager


ConnectionManagerDep = Annotated[ConnectionManager, Depends(get_connection_manager)]


async def get_room_service(connections: ConnectionManagerDep) -> RoomService:
    return RoomService(connections)


RoomServiceDep = Annotated[RoomService, Depends(get_room_service)]
