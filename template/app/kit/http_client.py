"""The HTTP client for outbound requests: a singleton, so that connections are reused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext

from httpx2 import AsyncClient, Limits, create_ssl_context

from app.kit.settings import KitSettings


@asynccontextmanager
async def open_http_client(settings: KitSettings) -> AsyncIterator[AsyncClient]:
    """Open the client. Each step of a request may take `http_timeout` seconds; it keeps no cookies.

    HTTPX2 is the maintained successor of HTTPX, with the same API. An SDK that requires an
    `httpx.AsyncClient` does not accept this one: open another client for it in the same way.
    """
    limits = Limits(max_connections=100, max_keepalive_connections=20)
    # All callers share the client: it must not send a cookie of one user's response for another.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    async with AsyncClient(
        timeout=settings.http_timeout, limits=limits, verify=_ssl_context(), cookies=no_cookies
    ) as client:
        yield client


@cache
def _ssl_context() -> SSLContext:
    """Return the TLS context, made once: loading the certificate authorities takes about 20 ms."""
    return create_ssl_context()
