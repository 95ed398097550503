"""Soft delete."""

from datetime import timedelta

from sqlalchemy import func, select

from app.examples.blog.models import Author, Post
from app.examples.blog.soft_delete import list_live, purge, soft_delete
from app.kit.database import Database


async def test_a_hidden_post_is_kept_until_it_is_purged(db: Database, author: Author) -> None:
    hidden, live = Post(title="one", author_id=author.id), Post(title="two", author_id=author.id)
    async with db.transaction() as session:
        session.add_all([hidden, live])
    assert await soft_delete(db, hidden.id)
    assert not await soft_delete(db, hidden.id)
    assert [post.title for post in await list_live(db)] == ["two"]
    count = select(func.count()).select_from(Post)
    await purge(db, older_than=timedelta(days=30))
    assert await db.scalar(count) == 2
    await purge(db, older_than=timedelta(0))
    assert await db.scalar(count) == 1
