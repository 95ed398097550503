"""The form and the response of signing in (RFC 6749, 4.3 and 5.1)."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class SignIn(BaseModel):
    """`username` is the e-mail address. Other fields of OAuth2 are ignored."""

    grant_type: Literal["password"] = "password"
    username: str = Field(max_length=254)
    password: SecretStr = Field(max_length=256)


class Token(BaseModel):
    """`expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 (no password)
    expires_in: int
