"""How this slice's objects are made."""

from typing import Annotated

from dishka import Provider, Scope, provide_all

from app.kit.lifecycle import Resolve
from app.notes.repository import NoteRepository
from app.notes.service import NoteService


class NoteProvider(Provider):
    scoped = provide_all(NoteRepository, NoteService, scope=Scope.REQUEST)


NoteServiceDep = Annotated[NoteService, Resolve(NoteService)]
