"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.kit.lifecycle import Resolve, RootScope
from app.upstream.client import UpstreamClient
from app.upstream.service import UpstreamService


def register(container: RootScope) -> None:
    container.register(UpstreamClient, lifespan=Lifespan.scoped)
    container.register(UpstreamService, lifespan=Lifespan.scoped)


UpstreamClientDep = Annotated[UpstreamClient, Resolve(UpstreamClient)]
UpstreamServiceDep = Annotated[UpstreamService, Resolve(UpstreamService)]
