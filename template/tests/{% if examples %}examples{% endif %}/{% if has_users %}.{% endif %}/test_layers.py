"""A route with all its layers, and a service with a fake in the place of the one below it."""

from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from app.application import create_app
from app.examples.directory import DirectoryRepository, Entry
from app.kit.lifecycle import Override, override
from app.settings import Settings
from tests.kit.helpers import open_client
from tests.users.people import Person, register


async def test_one_finds_oneself_and_an_admin_everybody(
    client: AsyncClient, ada: Person, admin: Person
) -> None:
    headers = await ada.headers(client)
    user_id = (await client.get("/profile", headers=headers)).json()["id"]
    for reader in (ada, admin):
        headers = await reader.headers(client)
        response = await client.get(f"/examples/users/{user_id}", headers=headers)
        assert response.json() == {"id": user_id, "name": "ada@example.com"}
    headers = await (await register(client, "bob@example.com")).headers(client)
    assert (await client.get(f"/examples/users/{user_id}", headers=headers)).status_code == 404
    assert (await client.get(f"/examples/users/{user_id}")).status_code == 401


@pytest.mark.parametrize(("found", "status"), [(Entry(uuid4(), "Ada"), 200), (None, 404)])
async def test_a_fake_repository_serves_the_real_service(
    settings: Settings, overrides: list[Override], found: Entry | None, status: int
) -> None:
    fake = AsyncMock(spec=DirectoryRepository)
    fake.get.return_value = found
    app = create_app(settings, [*overrides, override(DirectoryRepository, fake)])
    async with open_client(app) as client:
        headers = await (await register(client, "ada@example.com")).headers(client)
        user_id = (await client.get("/profile", headers=headers)).json()["id"]
        response = await client.get(f"/examples/users/{user_id}", headers=headers)
    assert response.status_code == status
    fake.get.assert_awaited_once()
