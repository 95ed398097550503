"""The rules for notes."""

from collections.abc import Sequence

from app.kit.database import Database
from app.notes.models import Note
from app.notes.repository import NoteRepository


class NoteService:
    def __init__(self, db: Database, repository: NoteRepository) -> None:
        self.db = db
        self.repository = repository

    async def all(self) -> Sequence[Note]:
        return await self.repository.all()

    async def write(self, text: str) -> Note:
        async with self.db.transaction():
            note = Note(text=text)
            await self.repository.add(note)
        return note
