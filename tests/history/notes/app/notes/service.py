"""What can be done with notes."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.database import Transaction, uuid7
from app.notes.models import Note
from app.notes.repository import NoteRepository


class NoteService:
    def __init__(self, notes: NoteRepository, transaction: Transaction) -> None:
        self.notes = notes
        self.transaction = transaction

    async def all(self) -> Sequence[Note]:
        return await self.notes.all()

    async def write(self, text: str) -> Note:
        async with self.transaction:
            note = Note(id=uuid7(), text=text, written_at=datetime.now(UTC))
            await self.notes.add(note)
        return note
