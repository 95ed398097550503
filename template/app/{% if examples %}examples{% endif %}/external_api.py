"""The client of another service."""

import asyncio
import logging
import random

from httpx2 import AsyncClient, HTTPError

from app.kit.errors import Unavailable, raises

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_ATTEMPT_TIMEOUT_SECONDS = 2.0
# Before the second attempt; doubled before the third.
_MAX_DELAY_SECONDS = 0.1


@raises(Unavailable)
class ExternalApi:
    """Uses the shared HTTP client, which keeps connections open."""

    def __init__(self, http_client: AsyncClient, url: str) -> None:
        self.http_client = http_client
        self.url = url

    async def check_health(self) -> int:
        """Return the status code of its response.

        Raise Unavailable if it does not answer in time, or with 5xx in every attempt. Retry only
        idempotent requests, such as GET.
        """
        failure: Exception | None = None
        for attempt in range(_ATTEMPTS):
            jitter = random.uniform(0.5, 1)  # noqa: S311 (no secret)
            await asyncio.sleep(_MAX_DELAY_SECONDS * attempt * jitter)
            try:
                async with asyncio.timeout(_ATTEMPT_TIMEOUT_SECONDS):
                    response = await self.http_client.get(self.url)
                if response.is_server_error:
                    response.raise_for_status()
                return response.status_code
            except (HTTPError, TimeoutError) as error:
                failure = error
        logger.warning("no answer from %s: %r", self.url, failure)
        raise Unavailable("The other service does not answer.") from failure
