"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from dishka import Provider, Scope, provide_all

from app.kit.lifecycle import Resolve
from app.upstream.client import UpstreamClient
from app.upstream.service import UpstreamService


class UpstreamProvider(Provider):
    scoped = provide_all(UpstreamClient, UpstreamService, scope=Scope.REQUEST)


UpstreamClientDep = Annotated[UpstreamClient, Resolve(UpstreamClient)]
UpstreamServiceDep = Annotated[UpstreamService, Resolve(UpstreamService)]
