"""How this slice's objects are made."""

from typing import Annotated

from fastapi import Depends

from app.kit.wiring import DatabaseDep
from app.notes.repository import NoteRepository
from app.notes.service import NoteService


async def get_note_repository(db: DatabaseDep) -> NoteRepository:
    return NoteRepository(db)


NoteRepositoryDep = Annotated[NoteRepository, Depends(get_note_repository)]


async def get_note_service(db: DatabaseDep, repository: NoteRepositoryDep) -> NoteService:
    return NoteService(db, repository)


NoteServiceDep = Annotated[NoteService, Depends(get_note_service)]
