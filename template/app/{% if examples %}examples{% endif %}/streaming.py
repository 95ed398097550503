"""A streamed response, sent while it is generated; it ends when the client disconnects."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

router = APIRouter()

_DELAY_SECONDS = 0.1


class TextStream(StreamingResponse):
    media_type = "text/plain"


@router.get("/stream", response_class=TextStream)
async def stream() -> AsyncIterator[str]:
    """Send a hundred chunks in ten seconds; `curl -N` shows each at once."""
    for number in range(100):
        yield f"data chunk {number}\n"
        await asyncio.sleep(_DELAY_SECONDS)
