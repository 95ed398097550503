"""Checks of the other service."""

from time import perf_counter

from app.upstream.client import UpstreamClient
from app.upstream.schemas import UpstreamStatus


class UpstreamService:
    def __init__(self, client: UpstreamClient) -> None:
        self.client = client

    async def check(self) -> UpstreamStatus:
        """Raise Unavailable if the other service does not answer."""
        started = perf_counter()
        status = await self.client.get_status()
        return UpstreamStatus(
            status=status, duration_ms=round((perf_counter() - started) * 1000, 1)
        )
