"""Relations."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from app.examples.blog.models import Author, Post, Tag
from app.examples.blog.relations import PostRepository
from app.kit.database import Database
from app.kit.errors import NotFound


async def test_a_post_has_its_author_and_its_tags(db: Database, author: Author) -> None:
    repository = PostRepository(db)
    added = await repository.add(author.id, "Engines", ["science", "history"])
    post = await repository.get(added.id)
    assert post is not None
    assert (post.title, post.author.name) == ("Engines", "Ada")
    assert [tag.name for tag in post.tags] == ["history", "science"]


async def test_posts_share_tags(db: Database, author: Author) -> None:
    repository = PostRepository(db)
    for title in ("one", "two"):
        await repository.add(author.id, title, ["science"])
    assert await db.scalar(select(func.count()).select_from(Tag)) == 1
    tagged = await repository.list_tagged("science")
    assert {(post.title, post.author.name) for post in tagged} == {("one", "Ada"), ("two", "Ada")}


async def test_posts_are_deleted_with_their_author(db: Database, author: Author) -> None:
    repository = PostRepository(db)
    await repository.add(author.id, "Engines", ["science"])
    await repository.delete_author(author.id)
    assert await db.scalar(select(func.count()).select_from(Post)) == 0
    assert await db.scalar(select(func.count()).select_from(Tag)) == 1


async def test_an_unknown_author_has_no_posts(db: Database) -> None:
    with pytest.raises(NotFound):
        await PostRepository(db).add(uuid4(), "Engines", [])
