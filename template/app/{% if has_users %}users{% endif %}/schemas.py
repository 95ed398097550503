"""Requests and responses."""

import unicodedata
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, SecretStr


def normalize_email(email: str) -> str:
    """Return the one spelling that is stored and compared."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def check_encodable(password: SecretStr) -> SecretStr:
    """Raise ValueError for half of a surrogate pair: JSON can carry it, no hash can take it."""
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode") from None
    return password


Email = Annotated[EmailStr, Field(max_length=254), AfterValidator(normalize_email)]
Password = Annotated[SecretStr, Field(max_length=256), AfterValidator(check_encodable)]
NewPassword = Annotated[
    SecretStr, Field(min_length=12, max_length=256), AfterValidator(check_encodable)
]
"""At least 12 characters and no composition rules (OWASP ASVS 5.0, 6.2)."""


class UserCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email
    password: NewPassword


class UserRegistered(BaseModel):
    """The same for a known e-mail address as for a new one: its owner is told by mail."""

    email: str


class UserUpdate(BaseModel):
    """A field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    full_name: str | None = Field(default=None, max_length=200)


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    current_password: Password
    new_password: NewPassword


class UserRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    full_name: str | None
    is_admin: bool
    created_at: datetime


class UserPage(BaseModel):
    """Pass `next_cursor` as `cursor` to get the next page; it is null on the last one."""

    items: list[UserRead]
    next_cursor: UUID | None
