"""How the examples' objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.examples.tracking import OperationToken, RequestTracker
from app.graph import AppContainer
from app.scopes import Resolve


def register(container: AppContainer) -> None:
    container.register(RequestTracker, lifespan=Lifespan.scoped)
    container.register(OperationToken, lifespan=Lifespan.transient)


RequestTrackerDep = Annotated[RequestTracker, Resolve(RequestTracker)]
OperationTokenDep = Annotated[OperationToken, Resolve(OperationToken)]
