"""Secrets from settings."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

_MIN_LENGTH = 32
_MIN_DISTINCT = 10  # `token_hex(16)` has fewer once in ten million
_PLACEHOLDERS = ("token_urlsafe(", "changeme", "change-me", "change_me", "example", "your-secret")


def check_secret_key(key: SecretStr) -> SecretStr:
    """Raise ValueError for a key that is short, repetitive or copied from documentation."""
    value = key.get_secret_value()
    if len(value) < _MIN_LENGTH:
        raise ValueError(f"write at least {_MIN_LENGTH} characters, see .env.example")
    is_placeholder = any(word in value.lower() for word in _PLACEHOLDERS)
    if is_placeholder or len(set(value)) < _MIN_DISTINCT:
        raise ValueError("this key can be guessed: write a random one, see .env.example")
    return key


SecretKey = Annotated[SecretStr, AfterValidator(check_secret_key)]
"""A key that nobody can guess."""
