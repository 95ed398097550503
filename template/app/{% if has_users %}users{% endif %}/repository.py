"""Users in the database. Statements are built once."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.database import Session
from app.users.models import User, users

_BY_ID = select(users).where(users.c.id == bindparam("id"))
_BY_EMAIL = select(users).where(users.c.email == bindparam("email"))
_FIRST_PAGE = select(users).order_by(users.c.id).limit(bindparam("size"))
_NEXT_PAGE = _FIRST_PAGE.where(users.c.id > bindparam("after"))
_ADD = insert(users)
_CHANGE = update(users).where(users.c.id == bindparam("user_id")).returning(*users.c)
_DELETE = delete(users).where(users.c.id == bindparam("id"))


class EmailTaken(Exception):
    """Another user has this e-mail address."""


def _user(row: Row[Any]) -> User:
    return User(**row._asdict())


class UserRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def get(self, user_id: UUID) -> User | None:
        row = (await self.session.execute(_BY_ID, {"id": user_id})).one_or_none()
        return _user(row) if row else None

    async def get_by_email(self, email: str) -> User | None:
        row = (await self.session.execute(_BY_EMAIL, {"email": email})).one_or_none()
        return _user(row) if row else None

    async def page(self, size: int, after: UUID | None = None) -> Sequence[User]:
        """Return at most `size` users in the order of their making, those after the given one."""
        if after is None:
            rows = await self.session.execute(_FIRST_PAGE, {"size": size})
        else:
            rows = await self.session.execute(_NEXT_PAGE, {"size": size, "after": after})
        return [_user(row) for row in rows]

    async def add(self, user: User) -> None:
        """Raises EmailTaken; the transaction is then rolled back, as after any exception."""
        try:
            await self.session.execute(
                _ADD, {each.name: getattr(user, each.name) for each in users.c}
            )
        except IntegrityError as error:
            raise EmailTaken(user.email) from error

    async def change(self, user_id: UUID, changes: Mapping[str, Any]) -> User | None:
        """Return the user with the changes, or None if there is none."""
        row = (
            await self.session.execute(_CHANGE.values(changes), {"user_id": user_id})
        ).one_or_none()
        return _user(row) if row else None

    async def delete(self, user_id: UUID) -> None:
        await self.session.execute(_DELETE, {"id": user_id})
