"""Mails about one's account, in the background of the request."""

from unittest.mock import AsyncMock

import pytest
from httpx2 import AsyncClient

from app.application import create_app
from app.mail import Mailer
from app.overrides import Override, override
from app.settings import Settings
from app.users.repository import UserRepository
from app.wiring import open_root_scope
from tests.helpers import open_client
from tests.mail.outbox import Outbox
from tests.users.people import Person, register


async def test_a_welcome_mail_follows(client: AsyncClient, outbox: Outbox) -> None:
    await register(client, "ada@example.com")
    [message] = outbox.messages
    assert message["To"] == "ada@example.com"
    assert message["Subject"].startswith("Welcome to")


async def test_the_owner_of_a_known_address_is_told(
    client: AsyncClient, ada: Person, outbox: Outbox
) -> None:
    await register(client, ada.email)
    assert outbox.messages[1]["To"] == ada.email
    assert outbox.messages[1]["Subject"].startswith("You already have an account")


async def test_a_registration_stands_without_its_mail(
    settings: Settings, overrides: list[Override], caplog: pytest.LogCaptureFixture
) -> None:
    """Overriding an object by an `AsyncMock`, in one line."""
    broken = AsyncMock(spec=Mailer)
    broken.send.side_effect = OSError("no mail server")
    app = create_app(settings, [*overrides, override(Mailer, broken)])
    async with open_client(app) as client:
        ada = await register(client, "ada@example.com")
        assert await ada.sign_in(client)
    assert "mail not sent" in caplog.text


async def test_the_mail_leaves_after_the_commit(
    settings: Settings, overrides: list[Override]
) -> None:
    seen: list[bool] = []

    class Watching(Outbox):
        async def send(self, to: str, template: str, **values: object) -> None:
            async with (
                open_root_scope(settings, overrides) as root_scope,
                root_scope.new_scope() as scope,
            ):
                users = await scope.resolve(UserRepository)
                seen.append(await users.get_by_email(to) is not None)

    app = create_app(settings, [*overrides, override(Mailer, Watching())])
    async with open_client(app) as client:
        await register(client, "ada@example.com")
    assert seen == [True]
