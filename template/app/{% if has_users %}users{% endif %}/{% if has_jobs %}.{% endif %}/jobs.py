"""What is done for users in the background."""

from app.jobs import Run, job
from app.mail import Mailer
from app.users import emails


@job()
async def send_welcome(run: Run, email: str, *, new: bool) -> None:
    """Idempotent as far as a mail can be: sent twice, both have one Message-ID, and mailboxes show one."""
    mailer = await run.scope.resolve(Mailer)
    await emails.welcome(mailer, email, new=new, message_id=f"welcome-{run.id}")
