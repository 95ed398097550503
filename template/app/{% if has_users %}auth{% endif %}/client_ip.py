"""The IP of the client, taken from `X-Forwarded-For` if `FORWARDED_ALLOW_IPS` trusts the proxy."""

from typing import Annotated

from fastapi import Depends, Request


async def get_client_ip(request: Request) -> str:
    return request.client.host if request.client else "unknown"


ClientIpDep = Annotated[str, Depends(get_client_ip)]
