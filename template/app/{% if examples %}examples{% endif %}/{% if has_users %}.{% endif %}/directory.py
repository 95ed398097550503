"""Layers: the repository knows the session, the service knows the repository. The route is in `layers.py`."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, select

from app.database import Session
from app.errors import NotFound
from app.users.models import User, users

_ENTRY = select(users.c.id, func.coalesce(users.c.full_name, users.c.email).label("name")).where(
    users.c.id == bindparam("id")
)


@dataclass(frozen=True, slots=True)
class Entry:
    id: UUID
    name: str


class DirectoryRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def get(self, user_id: UUID) -> Entry | None:
        row = (await self.session.execute(_ENTRY, {"id": user_id})).one_or_none()
        return Entry(**row._mapping) if row else None


class DirectoryService:
    def __init__(self, entries: DirectoryRepository) -> None:
        self.entries = entries

    async def get(self, user_id: UUID, *, seen_by: User) -> Entry:
        """Return one's own entry or, for an admin, anyone's. Raises NotFound for all others, there or not."""
        may_see = seen_by.is_admin or seen_by.id == user_id
        entry = await self.entries.get(user_id) if may_see else None
        if entry is None:
            raise NotFound("There is no such user.")
        return entry
