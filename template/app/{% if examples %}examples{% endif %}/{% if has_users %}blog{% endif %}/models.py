"""An author has many posts, a post has many tags, and a tag has many posts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, ForeignKey, MetaData, String, Table
from sqlalchemy.orm import Mapped, mapped_column, registry, relationship

from app.kit.database import Base, utc_now, uuid7


class BlogBase(Base):
    """Your models inherit from `Base`; these have metadata of their own."""

    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    registry = registry(metadata=metadata, type_annotation_map=Base.type_annotation_map)


post_tags = Table(
    "post_tags",
    BlogBase.metadata,
    Column("post_id", ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Author(BlogBase):
    __tablename__ = "authors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(100))
    posts: Mapped[list["Post"]] = relationship(
        back_populates="author", order_by="Post.title", cascade="all, delete-orphan"
    )


class Post(BlogBase):
    __tablename__ = "posts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    author_id: Mapped[UUID] = mapped_column(ForeignKey("authors.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column()
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    author: Mapped[Author] = relationship(back_populates="posts")
    tags: Mapped[list["Tag"]] = relationship(
        secondary=post_tags, back_populates="posts", order_by="Tag.name"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (see locking.py)


class Tag(BlogBase):
    __tablename__ = "tags"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    posts: Mapped[list[Post]] = relationship(secondary=post_tags, back_populates="tags")
