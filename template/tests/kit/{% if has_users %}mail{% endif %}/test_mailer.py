"""Mails, to a real SMTP server, to the log and in the background."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from aiosmtplib import SMTPException

from app.application import open_root_scope
from app.kit.errors import Unavailable
from app.kit.lifecycle import Override
from app.kit.mail import ConsoleMailer, Mailer, SmtpMailer, open_mailer
from app.settings import Settings
from tests.kit.helpers import GivenSettings
from tests.kit.mail.outbox import Outbox


class Received:
    """The mails that the SMTP server received."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.passwords: list[Any] = []

    def authenticate(self, *arguments: Any) -> AuthResult:
        """Accept any password, even in clear."""
        self.passwords.append(arguments[-1])
        return AuthResult(success=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


class SmtpServer(Controller):
    """An SMTP server that ends at once.

    From Python 3.12 on, `stop()` waits for each connection that is open, at worst five minutes.
    """

    def __init__(self, handler: Received, **options: Any) -> None:
        super().__init__(handler, **options)
        self.sessions: list[Any] = []

    def factory(self) -> Any:
        self.sessions.append(super().factory())  # type: ignore[no-untyped-call]
        return self.sessions[-1]

    def cancel_tasks(self, stop_loop: bool = True) -> None:
        for session in self.sessions:
            if session.transport is not None:
                session.transport.close()
        super().cancel_tasks(stop_loop)


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def smtp_url(received: Received) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = SmtpServer(
        received,
        hostname="127.0.0.1",
        port=port,
        server_hostname="localhost",
        auth_require_tls=False,
        authenticator=received.authenticate,
    )
    controller.start()
    yield f"smtp://127.0.0.1:{port}"
    controller.stop()


def with_smtp(settings: Settings, url: str, sender: str = "us@example.com") -> Settings:
    values = {**settings.model_dump(), "smtp_url": url, "mail_from": sender}
    return GivenSettings(**values)


async def test_mail_reaches_the_smtp_server(
    settings: Settings, smtp_url: str, received: Received
) -> None:
    async with open_mailer(with_smtp(settings, smtp_url)) as mailer:
        assert isinstance(mailer, SmtpMailer)
        await mailer.send("ada@example.com", "welcome", message_id="1")
    [envelope] = received.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("us@example.com", ["ada@example.com"])
    assert f"Subject: Welcome to {settings.service_name}".encode() in envelope.content
    assert b"Message-ID: <1@example.com>" in envelope.content
    assert b"Date: " in envelope.content  # RFC 5322, 3.6
    assert b"your account is ready" in envelope.content


@pytest.mark.parametrize(
    ("sender", "header", "domain"),
    [
        ("Example, Inc. <us@example.com>", '"Example, Inc." <us@example.com>', "example.com"),
        ('"Example, Inc." <us@example.com>', '"Example, Inc." <us@example.com>', "example.com"),
        ("us@b\u00fccher.example", "us@xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
async def test_sender_has_a_name_or_an_international_domain(
    settings: Settings, smtp_url: str, received: Received, sender: str, header: str, domain: str
) -> None:
    async with open_mailer(with_smtp(settings, smtp_url, sender)) as mailer:
        await mailer.send("ada@b\u00fccher.example", "welcome", message_id="1")
    [envelope] = received.envelopes
    assert envelope.mail_from == f"us@{domain}"
    assert envelope.rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert f"From: {header}".encode() in envelope.content
    assert f"Message-ID: <1@{domain}>".encode() in envelope.content


async def test_sending_does_not_look_up_this_machine(
    settings: Settings, smtp_url: str, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(name: str = "") -> str:
        raise AssertionError("a blocking request to the DNS")

    monkeypatch.setattr(socket, "getfqdn", look_up)
    async with open_mailer(with_smtp(settings, smtp_url)) as mailer:
        await mailer.send("ada@example.com", "welcome")
    assert len(received.envelopes) == 1


async def test_password_is_never_sent_in_clear(smtp_url: str, received: Received) -> None:
    """The server does not offer STARTTLS, or an attacker removed the offer."""
    mailer = SmtpMailer("A Service", "us@example.com", smtp_url.replace("://", "://user:password@"))
    with pytest.raises(SMTPException, match="STARTTLS"):
        await mailer.send("ada@example.com", "welcome")
    assert received.passwords == []


async def test_development_writes_mails_to_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    development = settings.model_copy(update={"environment": "development"})
    async with open_mailer(development) as mailer:
        assert isinstance(mailer, ConsoleMailer)
        await mailer.send("ada@example.com", "welcome")
    assert "your account is ready" in caplog.text


async def test_production_without_smtp_url_is_an_error(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_mailer(settings) as mailer:
        assert "SMTP_URL is not set" in caplog.text
        with pytest.raises(RuntimeError, match="SMTP_URL"):
            await mailer.send("ada@example.com", "welcome")


async def test_closing_sends_pending_mails(
    settings: Settings, smtp_url: str, received: Received
) -> None:
    async with open_mailer(with_smtp(settings, smtp_url)) as mailer:
        for number in range(20):
            await mailer.send_in_background(f"{number}@example.com", "welcome")
        assert not received.envelopes
    assert len(received.envelopes) == 20


async def test_root_scope_sends_pending_mails_when_it_closes(
    settings: Settings, overrides: list[Override], smtp_url: str, received: Received
) -> None:
    real_mailer = [each for each in overrides if each.service is not Mailer]
    async with (
        open_root_scope(with_smtp(settings, smtp_url), real_mailer) as root_scope,
        root_scope.new_scope() as scope,
    ):
        mailer = await scope.resolve(Mailer)
        await mailer.send_in_background("ada@example.com", "welcome")
        assert not received.envelopes
    assert len(received.envelopes) == 1


class Blocked(Outbox):
    """Delivers nothing before `unblock` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.unblock = asyncio.Event()

    async def deliver(self, message: EmailMessage) -> None:
        await self.unblock.wait()
        await super().deliver(message)


async def test_closing_gives_up_after_its_deadline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.kit.mail.mailer._CLOSE_TIMEOUT_SECONDS", 0.05)
    blocked = Blocked()
    await blocked.send_in_background("ada@example.com", "welcome")
    async with asyncio.timeout(5):
        await blocked.close()
    assert "mails not sent in time" in caplog.messages
    assert not blocked.messages


async def test_pending_mails_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.kit.mail.mailer._MAX_PENDING", 2)
    blocked = Blocked()
    for _ in range(3):
        await blocked.send_in_background("ada@example.com", "welcome")
    assert caplog.messages == ["mail not sent: too many are pending"]
    blocked.unblock.set()
    await blocked.close()
    assert len(blocked.messages) == 2


async def test_background_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Outbox):
        async def deliver(self, message: EmailMessage) -> None:
            raise OSError("no mail server")

    broken = Broken()
    await broken.send_in_background("ada@example.com", "welcome")
    await broken.close()
    assert caplog.messages == ["mail not sent"]


async def test_outage_of_the_server_is_logged_once(
    settings: Settings,
    smtp_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("app.kit.outages._SETTLED_SECONDS", 0)
    nowhere = "smtp://127.0.0.1:1"
    async with open_mailer(with_smtp(settings, nowhere)) as mailer:
        assert isinstance(mailer, SmtpMailer)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await mailer.send("ada@example.com", "welcome")
        await mailer.send_in_background("ada@example.com", "welcome")
        await mailer.close()
        mailer._url = urlsplit(smtp_url)
        await mailer.send("ada@example.com", "welcome")
    logged = [each for each in caplog.records if each.name.startswith("app.")]
    began, lost, ended = (each.getMessage() for each in logged)
    assert began.startswith("mail server unavailable: ")
    assert (lost, ended) == ("mail not sent", "mail server available again")
    assert not any(each.exc_info for each in logged)
