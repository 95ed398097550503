"""Mails about one's account, as jobs."""

from email.message import EmailMessage
from functools import partial

import pytest
from httpx2 import AsyncClient

from app.jobs.worker import work
from app.mail import Mailer
from app.overrides import Override, override
from app.settings import Settings
from app.users.jobs import send_welcome
from tests.jobs.fixtures import WorkOff, work_until
from tests.mail.outbox import Outbox
from tests.users.people import Person, register


async def test_a_welcome_mail_follows(
    client: AsyncClient, outbox: Outbox, work_off: WorkOff
) -> None:
    await register(client, "ada@example.com")
    assert not outbox.messages
    await work_off()
    [message] = outbox.messages
    assert message["To"] == "ada@example.com"
    assert message["Subject"].startswith("Welcome to")


async def test_the_owner_of_a_known_address_is_told(
    client: AsyncClient, ada: Person, outbox: Outbox, work_off: WorkOff
) -> None:
    await work_off()
    await register(client, ada.email)
    await work_off()
    assert outbox.messages[1]["To"] == ada.email
    assert outbox.messages[1]["Subject"].startswith("You already have an account")


async def test_one_that_is_sent_twice_has_one_id(
    client: AsyncClient,
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unsure(Outbox):
        async def deliver(self, message: EmailMessage) -> None:
            await super().deliver(message)
            if len(self.messages) == 1:
                raise OSError("the answer of the mail server was lost")

    monkeypatch.setattr(send_welcome, "backoff", 0.01)
    unsure = Unsure()
    await register(client, "ada@example.com")
    work_off = partial(work, settings, [*overrides, override(Mailer, unsure)], until_empty=True)
    await work_until(work_off, lambda: len(unsure.messages) == 2)
    first, second = unsure.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")
