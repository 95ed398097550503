"""Greetings."""

from unittest.mock import Mock

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import AsyncClient

from app.application import create_app
from app.greetings.service import GreetingService
from app.overrides import Override, override
from app.settings import Settings
from app.wiring import open_root_scope


async def test_visits_are_counted_for_the_life_of_the_app(client: AsyncClient) -> None:
    first = await client.get("/greetings/ada")
    second = await client.get("/greetings/ada")
    assert first.json() == {"text": "Hello, ada, for the 1st time!"}
    assert second.json() == {"text": "Hello, ada, for the 2nd time!"}


async def test_it_is_resolved_where_there_is_no_request(
    settings: Settings, overrides: list[Override]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope:
        for visit in ("1st", "2nd"):
            async with root_scope.new_scope() as scope:
                service = await scope.resolve(GreetingService)
                assert service.greet("bob") == f"Hello, bob, for the {visit} time!"


def test_a_fake_takes_its_place(settings: Settings, overrides: list[Override]) -> None:
    fake = Mock(spec=GreetingService, greet=Mock(return_value="Go away"))
    app: FastAPI = create_app(settings, [*overrides, override(GreetingService, fake)])
    with TestClient(app) as client:
        assert client.get("/greetings/ada").json() == {"text": "Go away"}
