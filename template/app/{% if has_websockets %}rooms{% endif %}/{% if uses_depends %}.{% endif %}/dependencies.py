"""Provides this slice's objects, each for one request or message."""

from typing import Annotated

from fastapi import Depends

from app.kit.wiring import HubDep
from app.rooms.policy import RoomPolicy
from app.rooms.service import RoomService


async def get_room_policy(hub: HubDep) -> RoomPolicy:
    return RoomPolicy(hub)


RoomPolicyDep = Annotated[RoomPolicy, Depends(get_room_policy)]


async def get_room_service(hub: HubDep, policy: RoomPolicyDep) -> RoomService:
    return RoomService(hub, policy)


RoomServiceDep = Annotated[RoomService, Depends(get_room_service)]
