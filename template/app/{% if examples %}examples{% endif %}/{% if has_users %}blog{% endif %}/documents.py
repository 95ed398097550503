"""A nested document with counts: authors, their posts, and how many posts each tag has.

By eager loads, when the document shows the rows that it counts: one statement for each level, each
bounded by the page above it. By one aggregate query, when the numbers are enough.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, computed_field
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import selectinload

from app.examples.blog.models import Author, Post, post_tags
from app.kit.database import Database

_DOCUMENTS = (
    select(Author)
    .order_by(Author.name)
    .limit(bindparam("size"))
    .options(selectinload(Author.posts).selectinload(Post.tags))
)
_COUNTS = (
    select(
        Author.name,
        func.count(Post.id.distinct()).label("posts"),
        func.count(post_tags.c.tag_id.distinct()).label("tags"),
    )
    .outerjoin(Author.posts)
    .outerjoin(post_tags, post_tags.c.post_id == Post.id)
    .group_by(Author.id, Author.name)
    .order_by(Author.name)
    .limit(bindparam("size"))
)


class TagRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str


class PostRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    title: str
    tags: list[TagRead]


class AuthorRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    posts: list[PostRead]

    @computed_field
    def post_count(self) -> int:
        return len(self.posts)


class AuthorCounts(NamedTuple):
    name: str
    posts: int
    tags: int


async def list_documents(db: Database, size: int) -> list[AuthorRead]:
    authors = await db.scalars(_DOCUMENTS, {"size": size})
    return [AuthorRead.model_validate(author) for author in authors]


async def list_counts(db: Database, size: int) -> Sequence[AuthorCounts]:
    return [AuthorCounts(*row) for row in await db.execute(_COUNTS, {"size": size})]
