"""Queries for notes."""

from collections.abc import Sequence

from sqlalchemy import select

from app.kit.database import Database
from app.notes.models import Note

_ALL = select(Note).order_by(Note.id)


class NoteRepository:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def all(self) -> Sequence[Note]:
        return (await self.db.scalars(_ALL)).all()

    async def add(self, note: Note) -> None:
        async with self.db.transaction() as session:
            session.add(note)
            await session.flush()
