"""Mails to users, sent by a job."""

from app.kit.jobs import JobQueue
from app.users.jobs import send_mail


class UserMails:
    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue

    async def welcome(self, email: str) -> None:
        await self.queue.enqueue(send_mail, email, "welcome")

    async def already_registered(self, email: str) -> None:
        await self.queue.enqueue(send_mail, email, "already_registered")
