"""polyfactory makes users, in memory and in a transaction."""

from polyfactory import Use
from polyfactory.factories.sqlalchemy_factory import (
    SQLAlchemyFactory,
    SQLAlchemyPersistenceMethod,
)
from sqlalchemy import func, select

from app.kit.database import Database, open_engines, utc_now
from app.settings import Settings
from app.users.models import User


class UserFactory(SQLAlchemyFactory[User]):
    __persistence_method__ = SQLAlchemyPersistenceMethod.FLUSH  # the block commits
    created_at = Use(utc_now)  # polyfactory's own have no time zone


def test_users_are_built() -> None:
    user = UserFactory.build(is_admin=True)
    assert user.is_admin
    assert user.email


async def test_users_are_stored(settings: Settings) -> None:
    async with open_engines(settings) as engines:
        db = Database(engines)
        async with db.transaction() as session:
            UserFactory.__async_session__ = session
            users = await UserFactory.create_batch_async(3)
        assert await db.scalar(select(func.count()).select_from(User)) == 3
        emails = set((await db.scalars(select(User.email))).all())
    assert emails == {user.email for user in users}
