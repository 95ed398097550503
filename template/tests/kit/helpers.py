"""Helpers of tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, ConnectError, MockTransport, Request, Response
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from starlette.types import Receive, Scope, Send

from app.settings import Settings


class GivenSettings(Settings):
    """Settings from arguments only, never from the environment or `.env`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def offline_client() -> AsyncClient:
    """Return an HTTP client whose requests fail."""

    def refuse(request: Request) -> Response:
        raise ConnectError("tests send no requests", request=request)

    return AsyncClient(transport=MockTransport(refuse))


@asynccontextmanager
async def open_client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Open an async client of the app. `ASGITransport` alone does not run the lifespan."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = ASGITransport(app=with_state)
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
