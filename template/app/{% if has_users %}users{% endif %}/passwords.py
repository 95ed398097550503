"""Password hashing with Argon2id (RFC 9106)."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.errors import ServiceError, Unavailable, raises

T = TypeVar("T")

MAX_CONCURRENT = 2
MAX_WAITING = 50
_MIN_SCORE = 3  # of zxcvbn, from 0 to 4: more than 10^8 guesses
_MAX_SCORED = 24  # characters: a fifth of a second at most, and more for each further one
_NO_MEMORY = "Memory allocation error"


class WeakPassword(ServiceError):
    """The password is common, or made of common words and patterns (OWASP ASVS 5.0, 6.2.4)."""

    status = 422


class Verification(NamedTuple):
    matches: bool
    new_hash: str | None = None
    """The hash to store instead: it was made by other parameters than today's."""


@raises(Unavailable)
class PasswordHasher:
    """Hashes in threads, two at a time: each hash takes 64 MiB and a core.

    At most 50 more callers wait.
    """

    def __init__(self, hasher: Argon2Hasher) -> None:
        self._hash = PasswordHash((hasher,))
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="passwords")
        # Stands in for the hash of an unknown user. Computed at start, in the background.
        self._dummy_hash = self._threads.submit(self._hash.hash, "the password of nobody")
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT + MAX_WAITING)

    async def hash(self, password: str) -> str:
        """Return the hash of a password. Raise Unavailable if too many callers wait."""
        return await self._run(lambda: self._hash.hash(password))

    async def hash_new(self, password: str) -> str:
        """Return the hash of a password that a user chooses. Raise WeakPassword, Unavailable."""
        if await self._run(lambda: _score(password)) < _MIN_SCORE:
            raise WeakPassword("This password is easy to guess: choose another one.")
        return await self.hash(password)

    async def verify(self, password: str, password_hash: str | None) -> Verification:
        """Return whether a password matches a hash. Without a hash, do the same work.

        Raise Unavailable if too many callers wait.
        """
        found = await self._run(
            lambda: self._hash.verify_and_update(
                password, password_hash or self._dummy_hash.result()
            )
        )
        return Verification(False) if password_hash is None else Verification(*found)

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._slots.acquire(blocking=False):
            raise Unavailable("Too many passwords are being checked right now; try again shortly.")
        future = self._threads.submit(work)
        # Not on cancellation of the caller: the thread continues.
        future.add_done_callback(lambda _: self._slots.release())
        try:
            return await asyncio.wrap_future(future)
        except Exception as error:
            if _NO_MEMORY in str(error):  # the exception of Argon2 has no class of its own
                raise Unavailable("No memory to check a password; try again shortly.") from error
            raise


def _score(password: str) -> int:
    """Return how hard a password is to guess, judged by its beginning."""
    from zxcvbn import zxcvbn  # its lists of words take a while to load

    score: int = zxcvbn(password[:_MAX_SCORED])["score"]
    return score
