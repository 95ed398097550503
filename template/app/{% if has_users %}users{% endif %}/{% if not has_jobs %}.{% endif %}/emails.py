"""Mails about one's account. They leave after the response, in a scope of their own."""

import logging

from app.mail import Mailer
from app.scopes import RootScope

logger = logging.getLogger(__name__)


async def send_welcome(root_scope: RootScope, email: str, *, new: bool) -> None:
    """Welcome a new user; tell the owner of a known address that somebody tried to register with it.

    A mail that cannot be sent is logged and lost: the registration stands.
    """
    template = "welcome" if new else "already_registered"
    try:
        async with root_scope.new_scope() as scope:
            mailer = await scope.resolve(Mailer)
            await mailer.send(email, template)
    except Exception:
        logger.exception("mail not sent", extra={"template": template})
