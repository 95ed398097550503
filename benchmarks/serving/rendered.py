"""The rendered service, with a cheap password hash and without mails, in a rendered project.

python rendered.py PORT
"""

import os
import sys

sys.path.insert(0, os.getcwd())

from app import main
from app.application import create_app
from app.kit.lifecycle.overrides import Override, override
from app.kit.server import run_server


def overrides() -> list[Override]:
    try:
        from app.kit.mail import Mailer
        from app.users.passwords import PasswordHasher
    except ImportError:
        return []  # it has no users

    from pwdlib.hashers.argon2 import Argon2Hasher

    class NoMails(Mailer):
        async def send(self, to: str, template: str, **values: object) -> None: ...

        async def deliver(self, message: object) -> None: ...

    cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    hasher = PasswordHasher(cheap)
    return [override(PasswordHasher, hasher), override(Mailer, NoMails(""))]


# What the server loads by its name, with the fakes in it.
main.app = create_app(main.settings, overrides())
run_server(main.settings, "127.0.0.1", int(sys.argv[1]), workers=1)
