"""Layers: the repository uses the database, the service the repository; see `layers.py`."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, select

from app.kit.database import Database
from app.kit.errors import NotFound
from app.users.models import User

_ENTRY = select(User.id, func.coalesce(User.full_name, User.email).label("name")).where(
    User.id == bindparam("id")
)


@dataclass(frozen=True, slots=True)
class Entry:
    id: UUID
    name: str


class DirectoryRepository:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def get(self, user_id: UUID) -> Entry | None:
        row = (await self.db.execute(_ENTRY, {"id": user_id})).one_or_none()
        return Entry(**row._mapping) if row else None


class DirectoryService:
    def __init__(self, entries: DirectoryRepository) -> None:
        self.entries = entries

    async def get(self, user_id: UUID, *, seen_by: User) -> Entry:
        """Return one's own entry or, for an admin, anyone's. Raise NotFound for all others."""
        may_see = seen_by.is_admin or seen_by.id == user_id
        entry = await self.entries.get(user_id) if may_see else None
        if entry is None:
            raise NotFound("There is no such user.")
        return entry
