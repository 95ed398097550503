"""The repository of users."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.application import open_root_scope
from app.kit.lifecycle import Override
from app.settings import Settings
from app.users.models import User
from app.users.repository import EmailTaken, UserRepository


async def test_taken_email_is_told_apart_from_other_faults(
    settings: Settings, overrides: list[Override]
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        repository = await scope.resolve(UserRepository)
        await repository.add(User(email="ada@example.com", password_hash="none"))
        with pytest.raises(EmailTaken):
            await repository.add(User(email="ada@example.com", password_hash="none"))
        with pytest.raises(IntegrityError):
            await repository.add(User(email="grace@example.com"))
        assert await repository.get_by_email("grace@example.com") is None
