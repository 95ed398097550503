"""Mails, to a real SMTP server and to the log."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from aiosmtplib import SMTPException

from app.mail import ConsoleMailer, SmtpMailer, open_mailer
from app.settings import Settings
from tests.helpers import GivenSettings


class Received:
    """What the server was given."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.passwords: list[Any] = []

    def authenticate(self, *arguments: Any) -> AuthResult:
        """Take any password, in clear too."""
        self.passwords.append(arguments[-1])
        return AuthResult(success=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def smtp_url(received: Received) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        received,
        hostname="127.0.0.1",
        port=port,
        auth_require_tls=False,
        authenticator=received.authenticate,
    )
    controller.start()
    yield f"smtp://127.0.0.1:{port}"
    controller.stop()


async def test_a_mail_reaches_a_real_server(
    settings: Settings, smtp_url: str, received: Received
) -> None:
    values = {**settings.model_dump(), "smtp_url": smtp_url, "mail_from": "us@example.com"}
    mailer = open_mailer(GivenSettings(**values))
    assert isinstance(mailer, SmtpMailer)
    await mailer.send("ada@example.com", "welcome")
    [envelope] = received.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("us@example.com", ["ada@example.com"])
    assert b"Subject: Welcome to" in envelope.content
    assert b"your account is ready" in envelope.content


async def test_a_password_is_not_sent_in_clear(smtp_url: str, received: Received) -> None:
    """The server offers no STARTTLS, or somebody took the offer away."""
    mailer = SmtpMailer("us@example.com", smtp_url.replace("://", "://user:password@"))
    with pytest.raises(SMTPException, match="STARTTLS"):
        await mailer.send("ada@example.com", "welcome")
    assert received.passwords == []


async def test_in_development_it_is_written_to_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mailer = open_mailer(GivenSettings(**{**settings.model_dump(), "environment": "development"}))
    assert isinstance(mailer, ConsoleMailer)
    await mailer.send("ada@example.com", "welcome")
    assert "your account is ready" in caplog.text


async def test_in_production_a_missing_server_is_an_error(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    mailer = open_mailer(settings)
    assert "SMTP_URL is not set" in caplog.text
    with pytest.raises(RuntimeError, match="SMTP_URL"):
        await mailer.send("ada@example.com", "welcome")
