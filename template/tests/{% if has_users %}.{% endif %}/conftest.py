"""Your fixtures; `tests/kit/fixtures.py` has `settings`, `app`, `client` and `outbox`."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher

from app.application import open_root_scope
from app.kit.lifecycle import Override, override
from app.settings import Settings
from app.users.passwords import PasswordHasher
from app.users.service import UserService
from tests.users.people import Person, register

pytest_plugins = ["tests.kit.fixtures"]


@pytest.fixture(scope="session")
def service_settings() -> dict[str, Any]:
    """The settings that have no default, and those that differ in tests."""
    return {"secret_key": "a key for tests that guards nothing"}


@pytest.fixture
def overrides(overrides: list[Override]) -> list[Override]:
    """The fakes of every test: the kit's, and passwords that cost next to nothing to hash."""
    cheap = PasswordHasher(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    return [*overrides, override(PasswordHasher, cheap)]


@pytest.fixture
async def ada(client: AsyncClient) -> Person:
    """A registered user."""
    return await register(client, "ada@example.com")


@pytest.fixture
async def admin(client: AsyncClient, settings: Settings, overrides: list[Override]) -> Person:
    """A registered user who is made an admin."""
    person = await register(client, "admin@example.com")
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        service = await scope.resolve(UserService)
        assert await service.make_admin(person.email, person.password)
    return person


@pytest.fixture
async def authenticated_client(client: AsyncClient, ada: Person) -> AsyncClient:
    """The client, signed in as Ada."""
    client.headers["Authorization"] = f"Bearer {await ada.sign_in(client)}"
    return client
