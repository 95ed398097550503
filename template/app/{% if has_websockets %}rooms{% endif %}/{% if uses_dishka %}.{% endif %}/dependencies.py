"""Provides this slice's objects, each for one request or message (`Scope.REQUEST`)."""

from typing import Annotated

from dishka import Provider, Scope, provide_all

from app.kit.lifecycle import Resolve
from app.rooms.policy import RoomPolicy
from app.rooms.service import RoomService


class RoomProvider(Provider):
    scoped = provide_all(RoomPolicy, RoomService, scope=Scope.REQUEST)


RoomPolicyDep = Annotated[RoomPolicy, Resolve(RoomPolicy)]
RoomServiceDep = Annotated[RoomService, Resolve(RoomService)]
