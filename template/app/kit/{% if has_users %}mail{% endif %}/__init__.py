"""Outgoing e-mail."""

from app.kit.mail.mailer import ConsoleMailer, Mailer, SmtpMailer, open_mailer

__all__ = ["ConsoleMailer", "Mailer", "SmtpMailer", "open_mailer"]
