"""A sample slice: settings, HTTP client, service and route. Replace it with your own."""

from fastapi import APIRouter

from app.upstream.dependencies import UpstreamServiceDep
from app.upstream.schemas import UpstreamStatus

router = APIRouter(tags=["upstream"])


@router.get("/upstream")
async def check_upstream(upstream: UpstreamServiceDep) -> UpstreamStatus:
    """Check the service at `UPSTREAM_URL`; 503 if it does not answer."""
    return await upstream.check()
