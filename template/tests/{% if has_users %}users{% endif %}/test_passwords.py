"""Hashing passwords."""

import asyncio
import time

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.errors import Unavailable
from app.users.passwords import MAX_CONCURRENT, MAX_WAITING, PasswordHasher


@pytest.fixture
def passwords() -> PasswordHasher:
    return PasswordHasher(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))


async def test_hash_matches_only_its_password(passwords: PasswordHasher) -> None:
    password_hash = await passwords.hash("right")
    assert password_hash.startswith("$argon2id$")
    assert (await passwords.verify("right", password_hash)).matches
    assert not (await passwords.verify("wrong", password_hash)).matches


async def test_no_password_matches_without_a_hash(passwords: PasswordHasher) -> None:
    assert not (await passwords.verify("the password of nobody", None)).matches


async def test_refused_memory_is_unavailable() -> None:
    huge = PasswordHasher(Argon2Hasher(time_cost=1, memory_cost=2**31, parallelism=1))
    with pytest.raises(Unavailable):
        await huge.hash("x")


class Slow(Argon2Hasher):
    """Takes a while and counts concurrent calls."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.running: list[int] = []
        self.most = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.running.append(1)
        self.most = max(self.most, len(self.running))
        time.sleep(0.01)
        self.running.pop()
        return super().hash(password, salt=salt)


async def test_too_many_waiting_callers_are_refused() -> None:
    passwords = PasswordHasher(Slow())
    answers = await asyncio.gather(
        *(passwords.hash("x") for _ in range(60)), return_exceptions=True
    )
    turned_away = sum(isinstance(answer, Unavailable) for answer in answers)
    assert 0 < turned_away <= 60 - MAX_CONCURRENT - MAX_WAITING
    assert await passwords.hash("x")


async def test_cancelled_callers_do_not_raise_the_number_of_threads() -> None:
    hasher = Slow()
    passwords = PasswordHasher(hasher)
    tasks = [asyncio.create_task(passwords.hash("x")) for _ in range(12)]
    await asyncio.sleep(0.005)
    for task in tasks[:6]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert hasher.most == MAX_CONCURRENT
