"""Background jobs for users."""

from app.kit.jobs import Run, job
from app.kit.mail import Mailer


@job()
async def send_mail(run: Run, email: str, template: str) -> None:
    """Send a mail. A repeated attempt has the same Message-ID, so a mailbox shows one mail."""
    mailer = await run.scope.resolve(Mailer)
    await mailer.send(email, template, message_id=f"{template}-{run.id}")
