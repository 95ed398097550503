"""Sends mails over SMTP if `SMTP_URL` is set, else to the log in development."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiosmtplib
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.kit.errors import Unavailable
from app.kit.outages import Outage
from app.kit.settings import KitSettings
from app.kit.settings.mail import encode_domain, parse_sender

logger = logging.getLogger(__name__)

_DELIVERY_TIMEOUT_SECONDS = 10.0
_CLOSE_TIMEOUT_SECONDS = 10.0
_MAX_PENDING = 100
_MAX_CONCURRENT = 10
# Mails are plain text, which HTML escapes would spoil.
_templates = Environment(  # noqa: S701
    loader=FileSystemLoader(Path(__file__).parents[2] / "mails"), undefined=StrictUndefined
)


class Mailer(ABC):
    """Sends `app/mails/NAME.txt`: the subject in the first line, an empty line, the body."""

    def __init__(self, service_name: str, sender: str) -> None:
        self.service_name = service_name
        self.sender = sender
        self._pending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def send(
        self, to: str, template: str, *, message_id: str | None = None, **values: object
    ) -> None:
        """Render a template with `service` and `values`, and deliver it.

        Give a `message_id` to a mail that may be sent twice: a mailbox shows one mail per id
        (RFC 5322, 3.6.4). Raise Unavailable if the mail server does not answer, and what the
        transport raises if it refuses the mail.
        """
        text = _templates.get_template(f"{template}.txt")
        subject, _, body = text.render(service=self.service_name, **values).partition("\n\n")
        message = EmailMessage()
        message["From"] = parse_sender(self.sender)
        message["To"] = encode_domain(to)
        message["Subject"] = subject
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = f"<{message_id or uuid4()}@{parse_sender(self.sender).domain}>"
        message.set_content(body)
        await self.deliver(message)

    async def send_in_background(self, to: str, template: str, **values: object) -> None:
        """Start to send a mail and return at once.

        A mail that fails is logged and lost, as is one that is added to too many pending ones.
        """
        if len(self._pending) >= _MAX_PENDING:
            logger.error("mail not sent: too many are pending", extra={"template": template})
            return
        task = asyncio.create_task(self._send_or_log(to, template, values))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self) -> None:
        """Wait for the pending mails, then cancel those that take too long."""
        if not self._pending:
            return
        _, late = await asyncio.wait(self._pending, timeout=_CLOSE_TIMEOUT_SECONDS)
        if late:
            logger.error("mails not sent in time", extra={"count": len(late)})
            for task in late:
                task.cancel()
            await asyncio.wait(late)

    @abstractmethod
    async def deliver(self, message: EmailMessage) -> None:
        """Hand a message to the transport."""

    async def _send_or_log(self, to: str, template: str, values: dict[str, Any]) -> None:
        try:
            async with self._slots:
                await self.send(to, template, **values)
        except Unavailable:  # the outage is logged already
            logger.error("mail not sent", extra={"template": template})
        except Exception:
            logger.exception("mail not sent", extra={"template": template})


class SmtpMailer(Mailer):
    """Delivers over `smtps://`, or over `smtp://` with STARTTLS if the server offers it.

    With a password STARTTLS is required: a password is never sent in clear.
    """

    def __init__(self, service_name: str, sender: str, url: str) -> None:
        super().__init__(service_name, sender)
        self._url = urlsplit(url)
        self._outage = Outage(logger, "mail server")

    async def deliver(self, message: EmailMessage) -> None:
        """Send a message. Raise Unavailable if the server does not answer or refuses the password.

        Raise SMTPException if it refuses this message.
        """
        try:
            async with asyncio.timeout(_DELIVERY_TIMEOUT_SECONDS):
                await self._deliver(message)
        except (OSError, aiosmtplib.SMTPAuthenticationError) as error:
            self._outage.fail(error)
            raise Unavailable("Mails cannot be sent now.") from error
        self._outage.succeed()

    async def _deliver(self, message: EmailMessage) -> None:
        url = self._url
        encrypted = url.scheme == "smtps"
        await aiosmtplib.send(
            message,
            hostname=url.hostname,
            port=url.port,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=encrypted,
            # True requires STARTTLS, None uses it if it is offered.
            start_tls=True if url.username and not encrypted else None,
            # The default asks the DNS for this machine's name, on the event loop.
            local_hostname=parse_sender(self.sender).domain,
        )


class ConsoleMailer(Mailer):
    """Writes mails to the log."""

    async def deliver(self, message: EmailMessage) -> None:
        logger.info("mail to %s: %s\n%s", message["To"], message["Subject"], message.get_content())


class NoMailer(Mailer):
    """Refuses to send: production without `SMTP_URL`."""

    async def deliver(self, message: EmailMessage) -> None:
        """Raise RuntimeError, so that the missing setting is noticed."""
        raise RuntimeError("SMTP_URL is not set")


@asynccontextmanager
async def open_mailer(settings: KitSettings) -> AsyncIterator[Mailer]:
    """Open the mailer for the settings; send its pending mails at the end."""
    mailer = _create_mailer(settings)
    try:
        yield mailer
    finally:
        await mailer.close()


def _create_mailer(settings: KitSettings) -> Mailer:
    name, sender = settings.service_name, settings.mail_from
    if settings.smtp_url is not None:
        return SmtpMailer(name, sender, settings.smtp_url.get_secret_value())
    if settings.environment == "development":
        return ConsoleMailer(name, sender)
    logger.warning("SMTP_URL is not set: no mail will be sent")
    return NoMailer(name, sender)
