"""The outbound HTTP client: one for the app's life, so that connections and TLS sessions are reused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from ssl import SSLContext

from httpx2 import AsyncClient, Limits, create_ssl_context

from app.settings import Settings


@asynccontextmanager
async def open_http_client(settings: Settings) -> AsyncIterator[AsyncClient]:
    """Open the pooled client; every step of a request has `http_timeout` seconds.

    HTTPX2 is HTTPX's maintained continuation with the same API. An SDK that insists on an
    `httpx.AsyncClient` does not take this one: give it a client of its own, opened in the same way.
    """
    limits = Limits(max_connections=100, max_keepalive_connections=20)
    async with AsyncClient(
        timeout=settings.http_timeout, limits=limits, verify=_ssl_context()
    ) as client:
        yield client


@cache
def _ssl_context() -> SSLContext:
    """Return what certificates are checked with; reading the authorities takes some 20 ms."""
    return create_ssl_context()
