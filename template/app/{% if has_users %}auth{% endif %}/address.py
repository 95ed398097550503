"""Where a caller is: behind a proxy, what `FORWARDED_ALLOW_IPS` lets it say."""

from typing import Annotated

from fastapi import Depends, Request


async def get_address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


AddressDep = Annotated[str, Depends(get_address)]
