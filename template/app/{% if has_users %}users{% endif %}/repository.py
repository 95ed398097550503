"""Queries for users. The statements are built once: building one costs as much as running it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from app.kit.database import Database
from app.users.models import User

_BY_ID = select(User).where(User.id == bindparam("id"))
_BY_EMAIL = select(User).where(User.email == bindparam("email"))
_FIRST_PAGE = select(User).order_by(User.id).limit(bindparam("size"))
_NEXT_PAGE = _FIRST_PAGE.where(User.id > bindparam("after"))
_UPDATE = update(User).where(User.id == bindparam("user_id")).returning(User)
_DELETE = delete(User).where(User.id == bindparam("id"))
_UNIQUE_EMAIL = re.compile(r"\buq_users_email\b|\busers\.email\b")
"""The constraint in the messages of databases."""


class EmailTaken(Exception):
    """Another user has this e-mail address."""


class UserRepository:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def get(self, user_id: UUID) -> User | None:
        return await self.db.scalar_one_or_none(_BY_ID, {"id": user_id})

    async def get_by_email(self, email: str) -> User | None:
        return await self.db.scalar_one_or_none(_BY_EMAIL, {"email": email})

    async def page(self, size: int, after: UUID | None = None) -> Sequence[User]:
        """Return at most `size` users in order of creation, after the given one."""
        statement = _FIRST_PAGE if after is None else _NEXT_PAGE
        return (await self.db.scalars(statement, {"size": size, "after": after})).all()

    async def add(self, user: User) -> None:
        """Raise EmailTaken, which rolls the transaction back as any exception does."""
        async with self.db.transaction() as session:
            session.add(user)
            try:
                await session.flush()
            except IntegrityError as error:
                if _UNIQUE_EMAIL.search(str(error.orig)):
                    raise EmailTaken(user.email) from error
                raise

    async def update(self, user_id: UUID, changes: Mapping[str, Any]) -> User | None:
        """Return the user with the changes, or None if there is no such user."""
        async with self.db.transaction() as session:
            updated = await session.scalars(_UPDATE.values(**changes), {"user_id": user_id})
            return updated.one_or_none()

    async def replace_hash(self, user: User, password_hash: str) -> None:
        """Replace the hash of the same password, unless the password has changed meanwhile."""
        statement = _UPDATE.where(User.password_hash == user.password_hash)
        async with self.db.transaction() as session:
            await session.execute(
                statement.values(password_hash=password_hash), {"user_id": user.id}
            )

    async def delete(self, user_id: UUID) -> None:
        async with self.db.transaction() as session:
            await session.execute(_DELETE, {"id": user_id})
