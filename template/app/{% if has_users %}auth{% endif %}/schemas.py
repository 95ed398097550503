"""Responses (RFC 6749, 5.1)."""

from typing import Literal

from pydantic import BaseModel


class Token(BaseModel):
    """`expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 (no password)
    expires_in: int
