"""Greetings."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from fastapi.testclient import TestClient
from httpx2 import AsyncClient

from app.application import create_app, open_root_scope
from app.greetings.clock import Clock
from app.greetings.service import GreetingService
from app.kit.lifecycle import Override, override
from app.settings import Settings


@pytest.fixture
def overrides(overrides: list[Override]) -> list[Override]:
    now = Mock(return_value=datetime(2026, 1, 31, tzinfo=UTC))
    return [*overrides, override(Clock, Mock(spec=Clock, now=now))]


async def test_visits_are_counted_for_the_life_of_the_app(client: AsyncClient) -> None:
    first = await client.get("/greetings/ada")
    second = await client.get("/greetings/ada")
    assert first.json() == {"text": "Hello, ada, for the 1st time in 2026!"}
    assert second.json() == {"text": "Hello, ada, for the 2nd time in 2026!"}


async def test_a_shared_provider_reads_the_request(client: AsyncClient) -> None:
    response = await client.get("/greetings/ada", headers={"Accept-Language": "de,en"})
    assert response.headers["Content-Language"] == "de"


async def test_the_service_is_resolved_outside_of_requests(
    settings: Settings, overrides: Sequence[Override]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope:
        for visit in ("1st", "2nd"):
            async with root_scope.new_scope() as scope:
                service = await scope.resolve(GreetingService)
                assert service.greet("bob") == f"Hello, bob, for the {visit} time in 2026!"


def test_a_fake_replaces_the_service(settings: Settings, overrides: Sequence[Override]) -> None:
    fake = Mock(spec=GreetingService, greet=Mock(return_value="Go away"))
    app = create_app(settings, [*overrides, override(GreetingService, fake)])
    with TestClient(app) as client:
        assert client.get("/greetings/ada").json() == {"text": "Go away"}


async def test_middleware_and_routes_of_the_application_are_kept(client: AsyncClient) -> None:
    response = await client.get("/status")
    assert response.json() == "up"
    assert response.headers["Server-Timing"].startswith("app;dur=")


def test_the_command_is_listed() -> None:
    command = [sys.executable, "-m", "app", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "greet " in done.stdout
