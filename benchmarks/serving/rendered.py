"""The rendered service, with a cheap password hash and without mails, in a rendered project.

python rendered.py PORT
"""

import gc
import os
import sys

sys.path.insert(0, os.getcwd())

from app import main
from app.application import create_app
from app.kit.lifecycle import Override, override
from app.kit.server import run_server


def overrides() -> list[Override]:
    try:
        from app.kit.mail import Mailer
        from app.users.passwords import PasswordHasher
    except ImportError:
        return []  # it has no users

    from pwdlib.hashers.argon2 import Argon2Hasher

    class NoMails(Mailer):
        async def send(
            self, to: str, template: str, *, message_id: str | None = None, **values: object
        ) -> None: ...

        async def deliver(self, message: object) -> None: ...

    class Unjudged(PasswordHasher):
        async def hash_new(self, password: str) -> str:
            return await self.hash(password)

    cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    mailer = NoMails(service_name="", sender="")
    return [override(PasswordHasher, Unjudged(cheap)), override(Mailer, mailer)]


# The server loads this application by its name, with the fakes in it.
main.app = create_app(main.settings, overrides())
gc.freeze()  # as app.main does with its own
run_server(main.settings, "127.0.0.1", int(sys.argv[1]), workers=1)
