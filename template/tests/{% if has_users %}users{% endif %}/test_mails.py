"""Mails to users."""

import io
import sys
from email.message import EmailMessage

import pytest
from httpx2 import AsyncClient

from app.application import create_app, open_root_scope
from app.kit.database import Database
from app.kit.lifecycle import Override, override
from app.kit.mail import Mailer
from app.settings import Settings
from app.users.commands import create_admin
from app.users.service import UserService
from tests.kit.helpers import open_client
from tests.kit.mail.fixtures import SentMails
from tests.kit.mail.outbox import Outbox
from tests.users.people import PASSWORD, Person, register


async def test_new_user_gets_a_welcome_mail(client: AsyncClient, sent_mails: SentMails) -> None:
    await register(client, "ada@example.com")
    [message] = await sent_mails()
    assert message["To"] == "ada@example.com"
    assert message["Subject"].startswith("Welcome to")


async def test_owner_of_a_known_email_is_told(
    client: AsyncClient, ada: Person, sent_mails: SentMails
) -> None:
    await sent_mails()
    await register(client, ada.email)
    _, message = await sent_mails()
    assert message["To"] == ada.email
    assert message["Subject"].startswith("You already have an account")


async def test_new_admin_gets_a_welcome_mail(
    settings: Settings,
    overrides: list[Override],
    sent_mails: SentMails,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await create_admin(scope, "root@example.com")
    [message] = await sent_mails()
    assert message["To"] == "root@example.com"
    assert message["Subject"].startswith("Welcome to")


async def test_rollback_sends_no_mail(
    settings: Settings, overrides: list[Override], sent_mails: SentMails
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        service, db = await scope.resolve(UserService), await scope.resolve(Database)
        with pytest.raises(RuntimeError):
            async with db.transaction():
                assert await service.register("ada@example.com", PASSWORD)
                raise RuntimeError("after the registration")
    assert not await sent_mails()


async def test_known_email_does_not_fail_the_callers_transaction(
    settings: Settings, overrides: list[Override], sent_mails: SentMails
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        service, db = await scope.resolve(UserService), await scope.resolve(Database)
        async with db.transaction():
            assert await service.register("ada@example.com", PASSWORD)
            assert not await service.register("ada@example.com", PASSWORD)
            assert await service.register("bob@example.com", PASSWORD)
    assert sorted(message["To"] for message in await sent_mails()) == [
        "ada@example.com",
        "ada@example.com",
        "bob@example.com",
    ]


async def test_registration_succeeds_without_a_mail_server(
    settings: Settings, overrides: list[Override]
) -> None:
    class Broken(Outbox):
        async def deliver(self, message: EmailMessage) -> None:
            raise OSError("no mail server")

    broken = Broken()
    app = create_app(settings, [*overrides, override(Mailer, broken)])
    async with open_client(app) as client:
        ada = await register(client, "ada@example.com")
        assert await ada.sign_in(client)
    await broken.close()
