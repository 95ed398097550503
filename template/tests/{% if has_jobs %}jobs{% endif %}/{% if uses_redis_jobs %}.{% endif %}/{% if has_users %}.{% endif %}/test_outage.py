"""Registering while the queue is down."""

from app.application import create_app
from app.overrides import Override
from app.settings import Settings
from tests.helpers import open_client
from tests.users.people import register


async def test_it_does_not_tell_who_is_known(settings: Settings, overrides: list[Override]) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_client(create_app(nowhere, overrides)) as client:
        for _ in range(2):  # 201 both times
            await register(client, "ada@example.com")
