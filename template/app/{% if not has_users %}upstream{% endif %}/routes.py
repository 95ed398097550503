"""A sample slice: settings -> pooled HTTP client -> client -> service -> route. Replace it by your first one."""

from fastapi import APIRouter

from app.upstream.dependencies import UpstreamServiceDep
from app.upstream.schemas import UpstreamStatus

router = APIRouter(tags=["upstream"])


@router.get("/upstream")
async def check_upstream(upstream: UpstreamServiceDep) -> UpstreamStatus:
    """How the service at `UPSTREAM_URL` answers; 503 if it does not."""
    return await upstream.check()
