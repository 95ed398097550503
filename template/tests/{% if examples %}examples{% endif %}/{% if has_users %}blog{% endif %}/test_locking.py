"""Optimistic locking."""

from uuid import uuid4

import pytest
from sqlalchemy import event, update

from app.examples.blog.locking import EditedMeanwhile, rename
from app.examples.blog.models import Author, Post
from app.kit.database import Database
from app.kit.errors import NotFound


@pytest.fixture
async def post(db: Database, author: Author) -> Post:
    post = Post(title="Engines", author_id=author.id)
    async with db.transaction() as session:
        session.add(post)
    return post


async def test_the_version_counts_up(db: Database, post: Post) -> None:
    assert post.version == 1
    renamed = await rename(db, post.id, "Notes", version=1)
    assert (renamed.title, renamed.version) == ("Notes", 2)


async def test_an_old_version_is_refused(db: Database, post: Post) -> None:
    await rename(db, post.id, "Notes", version=1)
    with pytest.raises(EditedMeanwhile):
        await rename(db, post.id, "Machines", version=1)
    with pytest.raises(NotFound):
        await rename(db, uuid4(), "Machines", version=1)


async def test_a_save_between_reading_and_writing_is_noticed(db: Database, post: Post) -> None:
    def overtake(*arguments: object) -> None:
        connection = arguments[1]
        assert hasattr(connection, "execute")
        connection.execute(update(Post.__table__).values(version=5))  # type: ignore[arg-type]

    event.listen(Post, "before_update", overtake, once=True)
    with pytest.raises(EditedMeanwhile):
        await rename(db, post.id, "Notes", version=1)
