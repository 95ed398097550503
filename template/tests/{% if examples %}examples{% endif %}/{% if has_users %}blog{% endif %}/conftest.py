"""The blog's tables, for its tests."""

from collections.abc import AsyncIterator

import pytest

from app.examples.blog.models import Author, BlogBase
from app.kit.database import Database, open_engines
from app.settings import Settings


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    async with open_engines(settings) as engines:
        async with engines.writing.begin() as connection:
            await connection.run_sync(BlogBase.metadata.create_all)
        try:
            yield Database(engines)
        finally:
            async with engines.writing.begin() as connection:
                await connection.run_sync(BlogBase.metadata.drop_all)


@pytest.fixture
async def author(db: Database) -> Author:
    author = Author(name="Ada")
    async with db.transaction() as session:
        session.add(author)
    return author
