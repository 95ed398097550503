"""Column types, and the order of identifiers."""

import enum
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError

from app.kit.database import Base, Database, Engines, uuid7
from app.settings import Settings
from tests.kit.database.library import Author, Book, Genre, open_library


@pytest.fixture
async def engines(settings: Settings) -> AsyncIterator[Engines]:
    async with open_library(settings) as engines:
        yield engines


async def test_datetimes_come_back_aware_and_in_utc(engines: Engines) -> None:
    db = Database(engines)
    local = datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=5)))
    async with db.transaction() as session:
        session.add_all([Author(name="Ada", born_at=local), Author(name="Grace")])
    ada, grace = await db.scalars(select(Author.born_at).order_by(Author.id))
    assert ada == local
    assert ada.tzinfo is UTC
    assert grace is None


async def test_a_naive_datetime_is_refused(engines: Engines) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        async with Database(engines).transaction() as session:
            session.add(Author(name="Ada", born_at=datetime(2026, 3, 29)))  # noqa: DTZ001


async def test_an_enum_is_stored_by_value(engines: Engines) -> None:
    db = Database(engines)
    async with db.transaction() as session:
        session.add(Author(id=1, name="Ada", books=[Book(genre=Genre.POETRY)]))
    stored = await db.execute(text("SELECT CAST(genre AS VARCHAR) FROM library_books"))
    assert stored.scalar_one() == "poetry"
    assert (await db.scalars(select(Book.genre))).all() == [Genre.POETRY]


def test_annotations_have_types() -> None:
    annotated = Base.type_annotation_map
    assert datetime in annotated
    assert enum.Enum in annotated


def test_uuids_sort_by_creation_time() -> None:
    one = uuid7()
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    created = datetime.fromtimestamp((one.int >> 80) / 1000, UTC)
    assert abs(datetime.now(UTC) - created) < timedelta(seconds=5)
    later = UUID(int=(((one.int >> 80) + 1) << 80) | (0x7 << 76))
    assert one < later
    assert len({uuid7() for _ in range(1000)}) == 1000
