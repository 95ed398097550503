"""Server-sent events: a clock that goes on where its reader left off, and that ends when the server stops.

Where nothing happens for 15 seconds FastAPI sends a comment, so that no proxy takes the stream for dead.
"""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.examples.dependencies import StoppingDep

router = APIRouter()

_MEMORY = 60
"""How many seconds a reader may have missed."""


@router.get("/events", response_class=EventSourceResponse)
async def events(
    stopping: StoppingDep, last_event_id: Annotated[int | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Each second once, by its number as id; a browser that connects again sends the last it saw."""
    second = int(time.time())
    if last_event_id is not None:
        second = min(max(last_event_id + 1, second - _MEMORY), second + 1)
    while not await stopping.wait(second - time.time()):
        yield ServerSentEvent(id=str(second), data=datetime.fromtimestamp(second, UTC))
        second += 1
