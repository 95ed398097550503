"""Clients of rooms: registered users."""

from collections.abc import Sequence
from uuid import uuid4

from app.application import open_root_scope
from app.auth.tokens import AccessTokens
from app.kit.lifecycle import Override
from app.settings import Settings
from app.users.repository import UserRepository
from app.users.service import UserService
from tests.users.people import PASSWORD


async def new_token(settings: Settings, overrides: Sequence[Override]) -> str | None:
    """Return a new client's token, if clients have one."""
    email = f"{uuid4().hex}@example.com"
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(UserService)).register(email, PASSWORD)
        user = await (await scope.resolve(UserRepository)).get_by_email(email)
        assert user is not None
        return (await scope.resolve(AccessTokens)).issue(user.id)
