"""Cross-origin requests (Fetch standard, "CORS protocol")."""

from collections.abc import Iterator

from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware


def cors(origins: list[str]) -> Iterator[Middleware]:
    """Yield what lets pages of these origins call; nothing if there are none."""
    if origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID"],
        )
