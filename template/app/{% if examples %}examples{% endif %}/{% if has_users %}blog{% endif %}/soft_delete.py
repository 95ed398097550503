"""Soft delete: a column hides the row, and each query says whether it wants hidden ones.

An event that adds the condition to every query is shorter, and surprises the reader who counts rows
by hand; a condition with a name is neither.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update

from app.examples.blog.models import Post
from app.kit.database import Database, utc_now

LIVE = Post.deleted_at.is_(None)

_LIVE = select(Post).where(LIVE).order_by(Post.id)
_DELETE = update(Post).where(Post.id == bindparam("post_id"), LIVE)
_PURGE = delete(Post).where(Post.deleted_at < bindparam("before"))


async def list_live(db: Database) -> Sequence[Post]:
    return (await db.scalars(_LIVE)).all()


async def soft_delete(db: Database, post_id: UUID) -> bool:
    """Hide a post. Return False if there is no such post, or it is hidden already."""
    async with db.transaction() as session:
        statement = _DELETE.values(deleted_at=utc_now()).returning(Post.id)
        return (await session.scalars(statement, {"post_id": post_id})).one_or_none() is not None


async def purge(db: Database, older_than: timedelta) -> None:
    """Delete for good what was hidden long enough ago. Call it in a job with `cron`."""
    async with db.transaction() as session:
        await session.execute(_PURGE, {"before": utc_now() - older_than})
