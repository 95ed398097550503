"""Cross-origin resource sharing (CORS)."""

from collections.abc import Iterator

from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware


def cors(origins: list[str]) -> Iterator[Middleware]:
    """Yield the middleware that lets pages of these origins call the service, if there are any."""
    if origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID"],
        )
