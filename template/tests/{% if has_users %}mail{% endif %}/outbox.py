"""A mailer that keeps what it is given."""

from email.message import EmailMessage

from app.mail import Mailer


class Outbox(Mailer):
    def __init__(self) -> None:
        super().__init__("noreply@example.com")
        self.messages: list[EmailMessage] = []

    async def deliver(self, message: EmailMessage) -> None:
        self.messages.append(message)
