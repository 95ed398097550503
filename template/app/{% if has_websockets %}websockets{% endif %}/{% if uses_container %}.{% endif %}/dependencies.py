"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.graph import AppContainer
from app.scopes import Resolve
from app.websockets.manager import ConnectionManager, open_connection_manager
from app.websockets.service import RoomService


def register(container: AppContainer) -> None:
    container.register(
        ConnectionManager, factory=open_connection_manager, lifespan=Lifespan.singleton
    )
    container.register(RoomService, lifespan=Lifespan.scoped)


ConnectionManagerDep = Annotated[ConnectionManager, Resolve(ConnectionManager)]
RoomServiceDep = Annotated[RoomService, Resolve(RoomService)]
