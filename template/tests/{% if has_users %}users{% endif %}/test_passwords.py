"""Hashing passwords."""

import asyncio

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.errors import Unavailable
from app.users.passwords import PasswordHasher


@pytest.fixture
def passwords() -> PasswordHasher:
    return PasswordHasher(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))


async def test_a_hash_verifies_its_password_alone(passwords: PasswordHasher) -> None:
    password_hash = await passwords.hash("right")
    assert password_hash.startswith("$argon2id$")
    assert await passwords.verify("right", password_hash)
    assert not await passwords.verify("wrong", password_hash)


async def test_nobody_has_a_password(passwords: PasswordHasher) -> None:
    assert not await passwords.verify("the password of nobody", None)


async def test_too_many_at_once_are_turned_away(passwords: PasswordHasher) -> None:
    answers = await asyncio.gather(
        *(passwords.hash("x") for _ in range(60)), return_exceptions=True
    )
    assert sum(isinstance(answer, Unavailable) for answer in answers) == 8
    assert await passwords.hash("x")
