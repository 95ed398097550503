"""Who connects in tests: a user, by an access token."""

from collections.abc import Sequence
from uuid import uuid4

from websockets.typing import Subprotocol

from app.auth.tokens import AccessTokens
from app.overrides import Override
from app.settings import Settings
from app.users.repository import UserRepository
from app.users.service import UserService
from app.wiring import open_root_scope
from tests.users.people import PASSWORD


async def credentials(
    settings: Settings, overrides: Sequence[Override]
) -> list[Subprotocol] | None:
    """Return the subprotocols with which somebody new connects."""
    email = f"{uuid4().hex}@example.com"
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(UserService)).register(email, PASSWORD)
        user = await (await scope.resolve(UserRepository)).get_by_email(email)
        assert user is not None
        return [
            Subprotocol("bearer"),
            Subprotocol((await scope.resolve(AccessTokens)).issue(user.id)),
        ]
