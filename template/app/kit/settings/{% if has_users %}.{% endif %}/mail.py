"""Settings of mail."""

from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Annotated
from urllib.parse import urlsplit

from email_validator import EmailNotValidError
from email_validator import validate_email as parse_email
from pydantic import AfterValidator, SecretStr, validate_email
from pydantic_settings import BaseSettings


def check_smtp_url(url: SecretStr) -> SecretStr:
    """Raise ValueError unless the URL names a mail server."""
    parts = urlsplit(url.get_secret_value())
    try:
        is_valid = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:  # the port is none, as after a password with `/` or `#`
        is_valid = False
    if not is_valid:
        raise ValueError("write smtp://user:password@host:587 or smtps://user:password@host:465")
    return url


def parse_sender(sender: str) -> Address:
    """Return the name and the e-mail address of a sender.

    Raise ValueError unless it is an e-mail address, or a name and one in angle brackets.
    """
    name, bracket, email = sender.rpartition("<")
    _, email = validate_email(email.removesuffix(">") if bracket else sender)
    return Address(name.strip().strip('"'), addr_spec=encode_domain(email))


def encode_domain(email: str) -> str:
    """Return the e-mail address with its domain in ASCII (RFC 5891): all servers take that."""
    try:
        parts = parse_email(email, check_deliverability=False)
    except EmailNotValidError:
        return email
    return f"{parts.local_part}@{parts.ascii_domain}"


def check_sender(sender: str) -> str:
    """Raise ValueError unless it is an e-mail address, with or without a name."""
    try:
        parse_sender(sender)
    except (ValueError, LookupError, HeaderParseError):
        raise ValueError("write noreply@example.com or Example <noreply@example.com>") from None
    return sender


class MailSettings(BaseSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(check_smtp_url)] | None = None
    """`smtp://user:password@host:587` (STARTTLS) or `smtps://...:465`.

    If unset, no mail is sent.
    """
    mail_from: Annotated[str, AfterValidator(check_sender)] = "noreply@example.com"
    """The sender: an e-mail address, or a name and an address in angle brackets."""
