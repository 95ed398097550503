"""Models for the kit's tests, on tables that no migration knows."""

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import ForeignKey, MetaData, String, select
from sqlalchemy.orm import Mapped, mapped_column, registry, relationship

from app.kit.database import Base, Database, Engines, open_engines
from app.settings import Settings


class LibraryBase(Base):
    """The kit's `Base`, with a registry of its own: no name or table meets one of the service."""

    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    registry = registry(metadata=metadata, type_annotation_map=Base.type_annotation_map)


class Genre(enum.Enum):
    NOVEL = "novel"
    POETRY = "poetry"


class Author(LibraryBase):
    __tablename__ = "library_authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("full_name", String(100), unique=True)
    born_at: Mapped[datetime | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")


class Book(LibraryBase):
    __tablename__ = "library_books"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("library_authors.id", deferrable=True, initially="DEFERRED")
    )
    genre: Mapped[Genre] = mapped_column(default=Genre.NOVEL)
    author: Mapped[Author] = relationship(back_populates="books")


@asynccontextmanager
async def open_library(settings: Settings) -> AsyncIterator[Engines]:
    """Open engines on a database that has the library's tables."""
    async with open_engines(settings) as engines:
        async with engines.writing.begin() as connection:
            await connection.run_sync(LibraryBase.metadata.create_all)
        try:
            yield engines
        finally:
            async with engines.writing.begin() as connection:
                await connection.run_sync(LibraryBase.metadata.drop_all)


async def committed(engines: Engines) -> set[str]:
    """Return the names of the authors that another scope sees."""
    return set((await Database(engines).scalars(select(Author.name))).all())
