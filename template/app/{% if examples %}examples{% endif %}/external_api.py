"""Another service, over HTTP."""

import asyncio
import logging
import random

from httpx2 import AsyncClient, HTTPError

from app.errors import Unavailable

logger = logging.getLogger(__name__)

_TRIES = 3
_TIMEOUT = 2.0
"""Seconds for one try."""
_PAUSE = 0.1
"""Seconds before the second try, at most; twice as long before the third."""


class ExternalApi:
    """Uses the app's one HTTP client, which keeps connections open: connecting costs more than asking."""

    def __init__(self, http_client: AsyncClient, url: str) -> None:
        self.http_client = http_client
        self.url = url

    async def health(self) -> int:
        """Return the status code of its answer. Raises Unavailable if there is none in time, or a 5xx each time.

        Only what may be done twice, as a GET may, is tried again.
        """
        failure: Exception | None = None
        for attempt in range(_TRIES):
            await asyncio.sleep(_PAUSE * attempt * random.uniform(0.5, 1))  # noqa: S311 (no secret)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    response = await self.http_client.get(self.url)
                if response.is_server_error:
                    response.raise_for_status()
                return response.status_code
            except (HTTPError, TimeoutError) as error:
                failure = error
        logger.warning("no answer from %s: %r", self.url, failure)
        raise Unavailable("The other service does not answer.") from failure
