"""Server-sent events: a clock that resumes after a reconnect and ends when the server stops.

FastAPI sends a comment every 15 seconds, so that proxies do not close an idle stream.
"""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.examples.dependencies import StoppingDep

router = APIRouter()

_MAX_REPLAY_SECONDS = 60


@router.get("/events", response_class=EventSourceResponse)
async def events(
    stopping: StoppingDep, last_event_id: Annotated[int | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Send every second once, with its number as id; a browser reconnects with the last id."""
    second = int(time.time())
    if last_event_id is not None:
        second = min(max(last_event_id + 1, second - _MAX_REPLAY_SECONDS), second + 1)
    while not await stopping.wait(second - time.time()):
        yield ServerSentEvent(id=str(second), data=datetime.fromtimestamp(second, UTC))
        second += 1
