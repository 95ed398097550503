"""Notes in the database."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import insert, select

from app.database import Session
from app.notes.models import Note, notes

_ALL = select(notes).order_by(notes.c.id)
_ADD = insert(notes)


class NoteRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def all(self) -> Sequence[Note]:
        return [Note(**row._mapping) for row in await self.session.execute(_ALL)]

    async def add(self, note: Note) -> None:
        await self.session.execute(_ADD, asdict(note))
