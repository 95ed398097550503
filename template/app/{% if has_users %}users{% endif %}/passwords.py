"""Password hashing with Argon2id (RFC 9106)."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.errors import Unavailable

T = TypeVar("T")

MAX_CONCURRENT = 2
MAX_WAITING = 50


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

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password matches a hash. Without a hash, do the same work.

        Raise Unavailable if too many callers wait.
        """
        matches = await self._run(
            lambda: self._hash.verify(password, password_hash or self._dummy_hash.result())
        )
        return matches and password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._slots.acquire(blocking=False):
            raise Unavailable("Too many passwords are being checked right now; try again shortly.")
        future = self._threads.submit(work)
        # Not on cancellation of the caller: the thread continues.
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future)
