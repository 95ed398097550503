"""Routes to measure: a costly one, cached and not; a stream; request objects; many; deep graphs."""

import os
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.bench.dependencies import LEVELS, HelloDep, WideDep
from app.kit.wiring import HttpClientDep

router = APIRouter(prefix="/bench")


async def compute() -> dict[str, str]:
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass
    return {"message": "computed"}


router.get("/computed")(compute)
try:
    from app.kit.cache import cached
except ImportError:
    pass  # this project has no cache
else:
    router.get("/kept")(cached(expire=3600, public=True, tags=("bench",))(compute))


@router.get("/scoped")
async def scoped(hello: HelloDep) -> dict[str, str]:
    return {"status": "ok"}


@router.get("/client")
async def with_client(client: HttpClientDep) -> dict[str, bool]:
    return {"closed": client.is_closed}


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield bytes(65536)

    return StreamingResponse(chunks(), media_type="application/octet-stream")


async def ok() -> dict[str, str]:
    return {"status": "ok"}


for number in range(int(os.environ.get("BENCH_ROUTES", "0"))):
    router.get(f"/routes/{number}", operation_id=f"route_{number}")(ok)


def add_deep(depth: int) -> None:
    @router.get(f"/deep/{depth}", operation_id=f"deep_{depth}")
    async def deep(level: LEVELS[depth]) -> dict[str, str]:  # type: ignore[valid-type]
        return {"status": "ok"}


for depth in LEVELS:
    add_deep(depth)


@router.get("/wide")
async def wide(part: WideDep) -> dict[str, str]:
    return {"status": "ok"}
