"""The client of the other service."""

from httpx2 import AsyncClient, HTTPError

from app.kit.errors import Unavailable, raises
from app.settings import Settings


@raises(Unavailable)
class UpstreamClient:
    def __init__(self, http_client: AsyncClient, settings: Settings) -> None:
        self.http_client = http_client
        self.url = settings.upstream_url

    async def get_status(self) -> int:
        """Return the status code of its response. Raise Unavailable if it does not answer."""
        try:
            response = await self.http_client.head(self.url)
        except HTTPError as error:
            raise Unavailable("The other service does not answer.") from error
        return response.status_code
