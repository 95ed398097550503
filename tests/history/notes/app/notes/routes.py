"""Notes."""

from collections.abc import Sequence

from fastapi import APIRouter

from app.notes.dependencies import NoteServiceDep
from app.notes.models import Note
from app.notes.schemas import NewNote, NoteRead

router = APIRouter(tags=["notes"])


@router.get("/notes", response_model=list[NoteRead])
async def list_notes(notes: NoteServiceDep) -> Sequence[Note]:
    return await notes.all()


@router.post("/notes", status_code=201, response_model=NoteRead)
async def write_note(note: NewNote, notes: NoteServiceDep) -> Note:
    return await notes.write(note.text)
