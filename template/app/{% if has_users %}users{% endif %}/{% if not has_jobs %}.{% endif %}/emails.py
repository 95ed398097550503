"""Mails to users, sent in the background after the commit."""

from functools import partial

from app.kit.database import Database
from app.kit.mail import Mailer


class UserMails:
    def __init__(self, db: Database, mailer: Mailer) -> None:
        self.db = db
        self.mailer = mailer

    async def welcome(self, email: str) -> None:
        self._send_after_commit(email, "welcome")

    async def already_registered(self, email: str) -> None:
        self._send_after_commit(email, "already_registered")

    def _send_after_commit(self, email: str, template: str) -> None:
        self.db.after_commit(partial(self.mailer.send_in_background, email, template))
