"""Registration while the queue is down."""

from time import perf_counter

from app.application import create_app
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.helpers import open_client
from tests.users.people import register


async def test_registration_succeeds_at_once_for_new_and_known_users(
    settings: Settings, overrides: list[Override]
) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_client(create_app(nowhere, overrides)) as client:
        started = perf_counter()
        for _ in range(2):
            await register(client, "ada@example.com")
        assert perf_counter() - started < 2
