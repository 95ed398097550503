"""An object that is created from the request."""

import pytest
from httpx2 import AsyncClient

from app.application import open_root_scope
from app.examples.callers import UserAgent
from app.kit.lifecycle import Override
from app.settings import Settings


async def test_user_agent_is_read_from_the_header(client: AsyncClient) -> None:
    headers = {"User-Agent": "curl/8.9 (linux)"}
    response = await client.get("/examples/user-agent", headers=headers)
    assert response.json() == {"text": "curl/8.9 (linux)", "product": "curl"}


async def test_resolving_without_a_request_is_an_error(
    settings: Settings, overrides: list[Override]
) -> None:
    async with (
        open_root_scope(settings, overrides) as root_scope,
        root_scope.new_scope() as scope,
    ):
        with pytest.raises(TypeError, match="'connection' from a request; there is none here"):
            await scope.resolve(UserAgent)
