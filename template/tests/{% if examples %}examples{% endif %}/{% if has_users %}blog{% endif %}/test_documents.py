"""Nested documents."""

from app.examples.blog.documents import AuthorCounts, list_counts, list_documents
from app.examples.blog.models import Author, Post, Tag
from app.kit.database import Database


async def test_both_ways_count_the_same(db: Database, author: Author) -> None:
    async with db.transaction() as session:
        science, history = Tag(name="science"), Tag(name="history")
        session.add(author)
        session.add(Post(title="one", author=author, tags=[science, history]))
        session.add(Post(title="two", author=author, tags=[science]))
        session.add(Author(name="Grace"))
    ada, grace = await list_documents(db, size=10)
    assert ada.model_dump() == {
        "name": "Ada",
        "posts": [
            {"title": "one", "tags": [{"name": "history"}, {"name": "science"}]},
            {"title": "two", "tags": [{"name": "science"}]},
        ],
        "post_count": 2,
    }
    assert grace.model_dump() == {"name": "Grace", "posts": [], "post_count": 0}
    counts = [AuthorCounts("Ada", 2, 2), AuthorCounts("Grace", 0, 0)]
    assert await list_counts(db, size=10) == counts
    assert len(await list_counts(db, size=1)) == 1
