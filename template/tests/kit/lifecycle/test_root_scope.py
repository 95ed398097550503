"""The life of objects, the same under every lifecycle."""

from typing import cast
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.application import create_app, open_root_scope
from app.kit.lifecycle import RootScopeDep, override
from app.kit.wiring import HttpClientDep
from app.settings import Settings
from app.wiring import SettingsDep
from tests.kit.helpers import open_client


async def test_singletons_are_shared_and_closed_with_the_root_scope(settings: Settings) -> None:
    async with open_root_scope(settings) as root_scope:
        async with root_scope.new_scope() as one, root_scope.new_scope() as other:
            http_client = await one.resolve(AsyncClient)
            assert await other.resolve(AsyncClient) is http_client
            assert await one.resolve(Settings) is settings
        assert not http_client.is_closed
    assert http_client.is_closed


async def test_error_closes_singletons(settings: Settings) -> None:
    opened: list[AsyncClient] = []
    with pytest.raises(RuntimeError, match="later"):
        async with open_root_scope(settings) as root_scope, root_scope.new_scope() as scope:
            opened.append(await scope.resolve(AsyncClient))
            raise RuntimeError("later")
    assert opened[0].is_closed


async def test_override_reaches_requests_and_scopes(settings: Settings) -> None:
    fake = AsyncMock(spec=AsyncClient)
    async with (
        open_root_scope(settings, [override(AsyncClient, fake)]) as root_scope,
        root_scope.new_scope() as scope,
    ):
        assert await scope.resolve(AsyncClient) is fake

    other = settings.model_copy(update={"log_level": "ERROR"})
    app = create_app(settings, [override(Settings, other)])

    @app.get("/log-level")
    async def log_level(settings: SettingsDep) -> str:
        return settings.log_level

    async with open_client(app) as client:
        assert (await client.get("/log-level")).json() == "ERROR"


def test_override_must_be_of_its_type() -> None:
    with pytest.raises(TypeError, match="takes a Settings"):
        override(Settings, cast("Settings", object()))


class Unknown:
    """A type without a provider."""


async def test_unknown_type_is_an_error_that_lists_the_known_ones(settings: Settings) -> None:
    with pytest.raises(LookupError, match=r"needs Unknown, .* there are: .*Settings"):
        async with open_root_scope(settings, [override(Unknown, Unknown())]):
            pass
    async with open_root_scope(settings) as root_scope, root_scope.new_scope() as scope:
        with pytest.raises(LookupError, match="needs Unknown, which nothing provides"):
            await scope.resolve(Unknown)


async def test_mounted_app_finds_the_root_scope(settings: Settings) -> None:
    app, mounted = create_app(settings), FastAPI()

    @mounted.get("/open")
    async def is_open(http_client: HttpClientDep, root_scope: RootScopeDep) -> bool:
        async with root_scope.new_scope() as scope:
            return await scope.resolve(AsyncClient) is http_client

    app.mount("/mounted", mounted)
    async with open_client(app) as client:
        assert (await client.get("/mounted/open")).json() is True
