"""Registers this slice's objects, each for one request or message (scoped)."""

from typing import Annotated

from clean_ioc import Lifespan

from app.kit.lifecycle import Resolve, RootScope
from app.rooms.policy import RoomPolicy
from app.rooms.service import RoomService


def register(container: RootScope) -> None:
    container.register(RoomPolicy, lifespan=Lifespan.scoped)
    container.register(RoomService, lifespan=Lifespan.scoped)


RoomPolicyDep = Annotated[RoomPolicy, Resolve(RoomPolicy)]
RoomServiceDep = Annotated[RoomService, Resolve(RoomService)]
