"""Relations: one to many and many to many, written through collections and read by eager loads.

Async code has no lazy loads: name the relations that you read, with `selectinload` for collections
and `joinedload` for a single object.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload, selectinload

from app.examples.blog.models import Author, Post, Tag
from app.kit.database import Database
from app.kit.errors import NotFound

_POST = (
    select(Post)
    .where(Post.id == bindparam("id"))
    .options(joinedload(Post.author), selectinload(Post.tags))
)
_TAGGED = (
    select(Post)
    .join(Post.tags)
    .where(Tag.name == bindparam("name"))
    .options(joinedload(Post.author))
)


class PostRepository:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def get(self, post_id: UUID) -> Post | None:
        """Return a post with its author and its tags."""
        return await self.db.scalar_one_or_none(_POST, {"id": post_id})

    async def list_tagged(self, name: str) -> Sequence[Post]:
        """Return the posts with a tag, each with its author."""
        return (await self.db.scalars(_TAGGED, {"name": name})).all()

    async def add(self, author_id: UUID, title: str, tags: Iterable[str]) -> Post:
        """Add a post with tags; tags that do not exist are created."""
        async with self.db.transaction() as session:
            if await session.get(Author, author_id) is None:
                raise NotFound("There is no such author.")
            post = Post(author_id=author_id, title=title, tags=await self._tags(set(tags)))
            session.add(post)
        return post

    async def delete_author(self, author_id: UUID) -> None:
        """Delete an author with all posts: the relation has `cascade="all, delete-orphan"`."""
        async with self.db.transaction() as session:
            author = await session.get(Author, author_id, options=[selectinload(Author.posts)])
            if author is not None:
                await session.delete(author)

    async def _tags(self, names: set[str]) -> list[Tag]:
        known = (await self.db.scalars(select(Tag).where(Tag.name.in_(names)))).all()
        return [*known, *(Tag(name=name) for name in names - {tag.name for tag in known})]
