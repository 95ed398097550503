"""HTTP routes for notes."""

from collections.abc import Sequence

from fastapi import APIRouter

from app.notes.dependencies import NoteServiceDep
from app.notes.models import Note
from app.notes.schemas import NoteCreate, NoteRead

router = APIRouter(tags=["notes"])


@router.get("/notes", response_model=list[NoteRead])
async def list_notes(service: NoteServiceDep) -> Sequence[Note]:
    return await service.all()


@router.post("/notes", status_code=201, response_model=NoteRead)
async def write_note(body: NoteCreate, service: NoteServiceDep) -> Note:
    return await service.write(body.text)
