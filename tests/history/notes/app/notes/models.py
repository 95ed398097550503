"""A note, and the table it lies in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Named, String, Table, TypedColumns

from app.database import UtcDateTime, metadata


class NoteColumns(TypedColumns):
    id: Named[UUID] = Column(primary_key=True)
    text: Named[str] = Column(String(200))
    written_at: Named[datetime] = Column(UtcDateTime)


notes = Table("notes", metadata, NoteColumns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    id: UUID
    text: str
    written_at: datetime
