"""Mails about one's account."""

from app.mail import Mailer


async def welcome(mailer: Mailer, email: str, *, new: bool, message_id: str) -> None:
    """Welcome a new user; tell the owner of a known address that somebody tried to register with it."""
    template = "welcome" if new else "already_registered"
    await mailer.send(email, template, message_id=message_id)
