"""A mailer for tests."""

from email.message import EmailMessage

from app.kit.mail import Mailer


class Outbox(Mailer):
    """Keeps the messages instead of sending them."""

    def __init__(self) -> None:
        super().__init__("A Service", "noreply@example.com")
        self.messages: list[EmailMessage] = []

    async def deliver(self, message: EmailMessage) -> None:
        self.messages.append(message)
