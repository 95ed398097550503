"""Optimistic locking: two people edit the same post, and the second one to save is told.

`version_id_col` in the model makes SQLAlchemy add `WHERE version = ...` to each UPDATE and count
versions up. The version travels with the form: the client sends back the one that it has read.
"""

from uuid import UUID

from sqlalchemy.orm.exc import StaleDataError

from app.examples.blog.models import Post
from app.kit.database import Database
from app.kit.errors import NotFound, ServiceError


class EditedMeanwhile(ServiceError):
    """Somebody else has saved the post since the client read it."""

    status = 409


async def rename(db: Database, post_id: UUID, title: str, *, version: int) -> Post:
    """Rename the post that the client has read. Raise EditedMeanwhile if it is a newer one now."""
    async with db.transaction() as session:
        post = await session.get(Post, post_id)
        if post is None:
            raise NotFound("There is no such post.")
        if post.version != version:
            raise EditedMeanwhile("The post has been edited meanwhile.")
        post.title = title
        try:
            await session.flush()
        except StaleDataError as error:  # saved by somebody else between the SELECT and the UPDATE
            raise EditedMeanwhile("The post has been edited meanwhile.") from error
    return post
