"""How the examples' objects are made."""

from typing import Annotated

from fastapi import Depends

from app.examples.tracking import OperationToken, RequestTracker


async def get_request_tracker() -> RequestTracker:
    return RequestTracker()


RequestTrackerDep = Annotated[RequestTracker, Depends(get_request_tracker)]


async def get_operation_token() -> OperationToken:
    return OperationToken()


OperationTokenDep = Annotated[OperationToken, Depends(get_operation_token, use_cache=False)]
