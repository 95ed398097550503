"""Reads outside of a transaction."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, event, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.orm import Session, joinedload, raiseload, selectinload, with_loader_criteria
from sqlalchemy.orm.exc import DetachedInstanceError

from app.kit.database import Database, Engines
from app.settings import Settings
from tests.kit.database.library import Author, Book, Genre, open_library

BY_ID = select(Author).where(Author.id == bindparam("id"))


@pytest.fixture
async def engines(settings: Settings) -> AsyncIterator[Engines]:
    async with open_library(settings) as engines:
        async with Database(engines).transaction() as session:
            born_at = datetime(1815, 12, 10, tzinfo=UTC)
            session.add(Author(id=1, name="Ada", born_at=born_at, books=[Book(id=1), Book(id=2)]))
            session.add(Author(id=2, name="Grace", books=[Book(id=3, genre=Genre.POETRY)]))
        yield engines


@pytest.fixture
def db(engines: Engines) -> Database:
    return Database(engines)


async def one(db: Database) -> Author:
    author = await db.scalar_one_or_none(BY_ID, {"id": 1})
    assert author is not None
    return author


@contextmanager
def no_session_used(engines: Engines) -> Iterator[None]:
    """Fail if an ORM session is opened."""

    def refuse(*_: Any) -> None:
        raise AssertionError

    event.listen(Session, "after_begin", refuse)
    try:
        yield
    finally:
        event.remove(Session, "after_begin", refuse)


class TestObjects:
    @pytest.mark.parametrize("options", [(), (selectinload(Author.books),)])
    async def test_they_have_the_values_of_their_row(
        self, db: Database, options: tuple[Any, ...]
    ) -> None:
        """Made from the row, or by a session: no difference."""
        author = await db.scalar_one_or_none(BY_ID.options(*options), {"id": 1})
        assert author is not None
        assert (author.id, author.name) == (1, "Ada")
        assert author.born_at == datetime(1815, 12, 10, tzinfo=UTC)
        book = (await db.scalars(select(Book).where(Book.id == 3))).one()
        assert book.genre is Genre.POETRY

    async def test_a_plain_select_takes_no_session(self, db: Database, engines: Engines) -> None:
        with no_session_used(engines):
            await one(db)
            assert len((await db.scalars(select(Author))).all()) == 2
            with pytest.raises(AssertionError):
                await db.scalars(select(Author).options(selectinload(Author.books)))

    async def test_a_joined_row_repeats_its_object(self, db: Database) -> None:
        statement = select(Author).join(Author.books).order_by(Book.id)
        first, second, third = (await db.scalars(statement)).all()
        assert first is second
        assert third.name == "Grace"
        assert len((await db.scalars(statement)).unique().all()) == 2

    @pytest.mark.parametrize("options", [(), (selectinload(Author.books),)])
    async def test_they_cannot_be_changed(self, db: Database, options: tuple[Any, ...]) -> None:
        author = await db.scalar_one_or_none(BY_ID.options(*options), {"id": 1})
        assert author is not None
        with pytest.raises(DetachedInstanceError, match=r"inside `async with db\.transaction"):
            author.name = "Ada Lovelace"
        with pytest.raises(DetachedInstanceError, match=r"Author\.name cannot be changed"):
            del author.name
        assert author.name == "Ada"
        if options:
            with pytest.raises(DetachedInstanceError, match=r"Author\.books cannot be changed"):
                author.books.append(Book())

    async def test_they_can_be_referred_to(self, db: Database) -> None:
        author = await one(db)
        async with db.transaction() as session:
            session.add(Book(id=4, author=author))
        counted = select(func.count()).select_from(Book).where(Book.author_id == 1)
        assert await db.scalar_one_or_none(counted) == 3

    async def test_they_can_be_changed_in_a_transaction_that_has_added_them(
        self, db: Database
    ) -> None:
        author = await one(db)
        async with db.transaction() as session:
            session.add(author)
            author.name = "Ada Lovelace"
        assert (await one(db)).name == "Ada Lovelace"

    async def test_a_lazy_load_is_refused_by_sqlalchemy(self, db: Database) -> None:
        author = await one(db)
        with pytest.raises(DetachedInstanceError, match="lazy load operation of attribute 'books'"):
            author.books  # noqa: B018

    async def test_eager_loads_work(self, db: Database) -> None:
        statement = select(Author).order_by(Author.id)
        authors = (await db.scalars(statement.options(selectinload(Author.books)))).all()
        assert [[book.id for book in author.books] for author in authors] == [[1, 2], [3]]
        joined = statement.options(joinedload(Author.books))
        authors = (await db.scalars(joined)).unique().all()
        assert [[book.id for book in author.books] for author in authors] == [[1, 2], [3]]
        with pytest.raises(InvalidRequestError, match=r"unique\(\) method must be invoked"):
            (await db.scalars(joined)).all()

    async def test_criteria_for_all_statements_are_heeded(self, db: Database) -> None:
        """Such as those that separate tenants or hide deleted rows."""

        def only_grace(state: Any) -> None:
            criteria = with_loader_criteria(Author, Author.name == "Grace")
            state.statement = state.statement.options(criteria)

        event.listen(Session, "do_orm_execute", only_grace)
        try:
            assert await db.scalar_one_or_none(BY_ID, {"id": 1}) is None
        finally:
            event.remove(Session, "do_orm_execute", only_grace)
        assert await one(db)

    async def test_load_events_are_fired(self, db: Database) -> None:
        loaded: list[str] = []

        def note(author: Author, _: object) -> None:
            loaded.append(author.name)

        event.listen(Author, "load", note)
        try:
            await one(db)
        finally:
            event.remove(Author, "load", note)
        assert loaded == ["Ada"]


async def test_outer_join_without_a_row_gives_none(db: Database, engines: Engines) -> None:
    statement = select(Author).select_from(Book).outerjoin(Author, Author.id == Book.id + 1)
    with no_session_used(engines):
        grace, *others = await db.scalars(statement.order_by(Book.id))
    assert grace.name == "Grace"
    assert others == [None, None]


class TestPrivateApi:
    """The names in `app/kit/private_api.py` keep their meaning."""

    async def test_an_object_made_from_a_row_is_like_one_of_a_session(self, db: Database) -> None:
        author = await one(db)
        by_session = await db.scalar_one_or_none(BY_ID.options(raiseload("*")), {"id": 1})
        made, loaded = inspect(author), inspect(by_session)
        assert loaded is not None
        for name in ("key", "identity", "mapper", "detached", "modified", "expired_attributes"):
            assert getattr(made, name) == getattr(loaded, name), name
        assert made.unloaded == loaded.unloaded == {"books"}
        assert all(not made.attrs[name].history.has_changes() for name in ("id", "name"))

    async def test_it_can_be_merged(self, db: Database) -> None:
        author = await one(db)
        async with db.transaction() as session:
            merged = await session.merge(author)
            assert merged is await session.get(Author, 1)
            assert not session.is_modified(merged)


class TestResults:
    async def test_rows_are_typed_as_sqlalchemy_types_them(self, db: Database) -> None:
        """Checked by mypy, too: a wrong name below is an error there."""
        counted = select(Author, func.count(Book.id)).join(Book).group_by(Author.id)
        author, books = (await db.execute(counted.where(Author.id == 1))).one()
        assert (author.name.upper(), books + 1) == ("ADA", 3)
        names: list[str] = list(await db.scalars(select(Author.name).order_by(Author.id)))
        assert names == ["Ada", "Grace"]
        statement = text("SELECT full_name AS name FROM library_authors WHERE id = :id")
        assert (await db.execute(statement, {"id": 2})).one().name == "Grace"

    async def test_statements_run_side_by_side(self, db: Database) -> None:
        results = await asyncio.gather(*(db.execute(select(Author.id)) for _ in range(20)))
        assert [sorted(each.scalars()) for each in results] == [[1, 2]] * 20


class TestWrites:
    async def test_they_are_refused(self, db: Database) -> None:
        for statement in (insert(Author).values(id=3), update(Author).values(id=3), delete(Author)):
            with pytest.raises(RuntimeError, match=r"inside `async with db\.transaction"):
                await db.execute(statement)
        with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
            await db.execute(text("DELETE FROM library_authors"))
        assert len((await db.scalars(select(Author))).all()) == 2
