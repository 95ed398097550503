"""Sends a Jinja2 template as a mail: over SMTP when configured, to the log in development."""

import asyncio
import logging
from abc import ABC, abstractmethod
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.about import TITLE
from app.settings import Settings

logger = logging.getLogger(__name__)

_TIMEOUT = 10.0  # seconds, for the whole delivery to the mail server
# Mails are plain text: escaping HTML would spoil them.
_templates = Environment(loader=PackageLoader("app.mail"), undefined=StrictUndefined)  # noqa: S701


class Mailer(ABC):
    """A template is `templates/NAME.txt`: its first line is the subject, the rest after a blank line the body."""

    def __init__(self, sender: str) -> None:
        self.sender = sender

    async def send(self, to: str, template: str, **values: object) -> None:
        """Raises what the transport raises if the mail server does not take it."""
        text = _templates.get_template(f"{template}.txt").render(service=TITLE, **values)
        subject, _, body = text.partition("\n\n")
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = to
        message["Subject"] = subject
        message.set_content(body)
        await self.deliver(message)

    @abstractmethod
    async def deliver(self, message: EmailMessage) -> None: ...


class SmtpMailer(Mailer):
    """Over `smtps://`, or over `smtp://` with STARTTLS: required with a password, else used if offered."""

    def __init__(self, sender: str, url: str) -> None:
        super().__init__(sender)
        self._url = urlsplit(url)

    async def deliver(self, message: EmailMessage) -> None:
        url = self._url
        encrypted = url.scheme == "smtps"
        async with asyncio.timeout(_TIMEOUT):
            await aiosmtplib.send(
                message,
                hostname=url.hostname,
                port=url.port,
                username=unquote(url.username) if url.username else None,
                password=unquote(url.password) if url.password else None,
                use_tls=encrypted,
                # A password is not sent in clear, whatever the server offers.
                start_tls=True if url.username and not encrypted else None,
            )


class ConsoleMailer(Mailer):
    """Writes mails to the log."""

    async def deliver(self, message: EmailMessage) -> None:
        logger.info("mail to %s: %s\n%s", message["To"], message["Subject"], message.get_content())


class NoMailer(Mailer):
    """Stands where no mail server is configured in production."""

    async def deliver(self, message: EmailMessage) -> None:
        """Raises RuntimeError: a mail that is not sent must not pass for one."""
        raise RuntimeError("SMTP_URL is not set")


def open_mailer(settings: Settings) -> Mailer:
    """Return the mailer that the settings ask for."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.mail_from, settings.smtp_url.get_secret_value())
    if settings.environment == "development":
        return ConsoleMailer(settings.mail_from)
    logger.warning("SMTP_URL is not set: no mail will be sent")
    return NoMailer(settings.mail_from)
