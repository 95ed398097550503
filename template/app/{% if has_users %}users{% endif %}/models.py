"""A user, and the table it lies in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Named, String, Table, TypedColumns

from app.database import UtcDateTime, metadata


class UserColumns(TypedColumns):
    id: Named[UUID] = Column(primary_key=True)
    email: Named[str] = Column(String(254), unique=True)
    password_hash: Named[str] = Column(String(255))
    full_name: Named[str | None] = Column(String(200))
    is_admin: Named[bool]
    created_at: Named[datetime] = Column(UtcDateTime)


users = Table("users", metadata, UserColumns)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One row, as a value: it is changed by an UPDATE, not by assignment."""

    id: UUID
    email: str
    password_hash: str
    full_name: str | None
    is_admin: bool
    created_at: datetime
