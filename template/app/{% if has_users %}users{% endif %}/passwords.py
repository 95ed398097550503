"""Passwords, hashed with Argon2id (RFC 9106)."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.errors import Unavailable

T = TypeVar("T")

AT_ONCE = 2
WAITING = 50


class PasswordHasher:
    """Hashes off the event loop, two at a time: each takes 64 MiB and a core. At most 50 more wait."""

    def __init__(self, hasher: Argon2Hasher) -> None:
        self._hash = PasswordHash((hasher,))
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        # Made at start, so that the first unknown user waits no longer than others; nobody waits for it.
        self._nobodys = self._threads.submit(self._hash.hash, "the password of nobody")
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)

    async def hash(self, password: str) -> str:
        """Return the hash. Raises Unavailable when too many wait."""
        return await self._run(lambda: self._hash.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the password is right. Without a hash the same work is done, and it is not.

        Raises Unavailable when too many wait.
        """
        right = await self._run(
            lambda: self._hash.verify(password, password_hash or self._nobodys.result())
        )
        return right and password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable("Too many people sign in at this moment.")
        future = self._threads.submit(work)
        # Not when the caller goes away: the thread works on.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)
