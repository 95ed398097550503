"""Requests and responses."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class NoteCreate(BaseModel):
    text: str = Field(min_length=1, max_length=200)


class NoteRead(BaseModel):
    id: UUID
    text: str
    written_at: datetime
