"""How this slice's objects are made."""

from typing import Annotated

from clean_ioc import Lifespan

from app.graph import AppContainer
from app.notes.repository import NoteRepository
from app.notes.service import NoteService
from app.scopes import Resolve


def register(container: AppContainer) -> None:
    container.register(NoteRepository, lifespan=Lifespan.scoped)
    container.register(NoteService, lifespan=Lifespan.scoped)


NoteServiceDep = Annotated[NoteService, Resolve(NoteService)]
