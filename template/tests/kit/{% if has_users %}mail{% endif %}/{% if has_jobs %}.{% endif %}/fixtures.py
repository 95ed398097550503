"""The mails of the service."""

from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import pytest

from tests.kit.jobs.fixtures import WorkOff
from tests.kit.mail.outbox import Outbox

SentMails = Callable[[], Awaitable[list[EmailMessage]]]


@pytest.fixture
def sent_mails(outbox: Outbox, work_off: WorkOff) -> SentMails:
    """Return a function that sends pending mails and returns all that were sent."""

    async def sent_mails() -> list[EmailMessage]:
        await work_off()
        return outbox.messages

    return sent_mails
