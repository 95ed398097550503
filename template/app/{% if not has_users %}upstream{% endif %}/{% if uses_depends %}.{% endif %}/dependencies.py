"""How this slice's objects are made. A provider runs once per request."""

from typing import Annotated

from fastapi import Depends

from app.kit.wiring import HttpClientDep
from app.upstream.client import UpstreamClient
from app.upstream.service import UpstreamService
from app.wiring import SettingsDep


async def get_upstream_client(http_client: HttpClientDep, settings: SettingsDep) -> UpstreamClient:
    return UpstreamClient(http_client, settings)


UpstreamClientDep = Annotated[UpstreamClient, Depends(get_upstream_client)]


async def get_upstream_service(client: UpstreamClientDep) -> UpstreamService:
    return UpstreamService(client)


UpstreamServiceDep = Annotated[UpstreamService, Depends(get_upstream_service)]
