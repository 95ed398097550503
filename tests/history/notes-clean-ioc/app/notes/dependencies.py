"""How this slice's objects are made."""

from typing import Annotated

from clean_ioc import Lifespan

from app.kit.lifecycle import Resolve, RootScope
from app.notes.repository import NoteRepository
from app.notes.service import NoteService


def register(container: RootScope) -> None:
    container.register(NoteRepository, lifespan=Lifespan.scoped)
    container.register(NoteService, lifespan=Lifespan.scoped)


NoteServiceDep = Annotated[NoteService, Resolve(NoteService)]
