"""How this slice's objects are made."""

from typing import Annotated

from fastapi import Depends

from app.notes.repository import NoteRepository
from app.notes.service import NoteService
from app.wiring import SessionDep, TransactionDep


async def get_note_repository(session: SessionDep) -> NoteRepository:
    return NoteRepository(session)


NoteRepositoryDep = Annotated[NoteRepository, Depends(get_note_repository)]


async def get_note_service(notes: NoteRepositoryDep, transaction: TransactionDep) -> NoteService:
    return NoteService(notes, transaction)


NoteServiceDep = Annotated[NoteService, Depends(get_note_service)]
