"""Jobs of the users slice."""

from email.message import EmailMessage

import pytest

from app.application import JOBS, open_root_scope
from app.kit.jobs.worker import work
from app.kit.lifecycle import Override, override
from app.kit.mail import Mailer
from app.settings import Settings
from app.users.jobs import send_mail
from tests.kit.jobs.fixtures import Enqueue, work_until
from tests.kit.mail.outbox import Outbox


class Flaky(Outbox):
    """Delivers every message, but fails after the first one."""

    async def deliver(self, message: EmailMessage) -> None:
        await super().deliver(message)
        if len(self.messages) == 1:
            raise OSError("the answer of the mail server was lost")


async def test_repeated_mail_has_the_same_message_id(
    settings: Settings,
    overrides: list[Override],
    enqueue: Enqueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send_mail, "backoff", 0.01)
    flaky = Flaky()

    async def work_off() -> None:
        opening = open_root_scope(settings, [*overrides, override(Mailer, flaky)])
        await work(settings, opening, JOBS, until_empty=True)

    await enqueue(send_mail, "ada@example.com", "welcome")
    await work_until(lambda: len(flaky.messages) == 2, work_off)
    first, second = flaky.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")
