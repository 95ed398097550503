"""Settings of mail."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings


def check_smtp_url(url: SecretStr) -> SecretStr:
    """Raise ValueError unless the URL names a mail server."""
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("write smtp://user:password@host:587 or smtps://user:password@host:465")
    return url


class MailSettings(BaseSettings):
    smtp_url: Annotated[SecretStr, AfterValidator(check_smtp_url)] | None = None
    """`smtp://user:password@host:587` (STARTTLS) or `smtps://...:465`.

    If unset, no mail is sent.
    """
    mail_from: str = "noreply@example.com"
