"""An object that is made from the request."""

import pytest
from httpx2 import AsyncClient

from app.examples.callers import UserAgent
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope


async def test_it_says_who_asks(client: AsyncClient) -> None:
    headers = {"User-Agent": "curl/8.9 (linux)"}
    response = await client.get("/examples/user-agent", headers=headers)
    assert response.json() == {"text": "curl/8.9 (linux)", "product": "curl"}


async def test_without_a_request_it_is_a_clear_error(
    settings: Settings, overrides: list[Override]
) -> None:
    async with (
        open_root_scope(settings, overrides) as root_scope,
        root_scope.new_scope() as scope,
    ):
        with pytest.raises(TypeError, match="'connection' from a request; there is none here"):
            await scope.resolve(UserAgent)
