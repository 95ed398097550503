"""The mails of the service."""

from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import pytest

from tests.kit.mail.outbox import Outbox

SentMails = Callable[[], Awaitable[list[EmailMessage]]]


@pytest.fixture
def sent_mails(outbox: Outbox) -> SentMails:
    """Return a function that sends pending mails and returns all that were sent."""

    async def sent_mails() -> list[EmailMessage]:
        await outbox.close()
        return outbox.messages

    return sent_mails
