"""Streaming: a response that is sent while it is made, and not made any further once its reader has left."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

router = APIRouter()

_PAUSE = 0.1


class TextStream(StreamingResponse):
    media_type = "text/plain"


@router.get("/stream", response_class=TextStream)
async def stream() -> AsyncIterator[str]:
    """A hundred chunks in ten seconds; `curl -N` shows them as they come."""
    for number in range(100):
        yield f"data chunk {number}\n"
        await asyncio.sleep(_PAUSE)
