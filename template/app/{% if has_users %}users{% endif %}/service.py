"""What can be done with users."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.database import Transaction, uuid7
from app.errors import NotAllowed, NotFound
from app.users.models import User
from app.users.passwords import PasswordHasher
from app.users.repository import EmailTaken, UserRepository


class UserService:
    def __init__(
        self, users: UserRepository, transaction: Transaction, passwords: PasswordHasher
    ) -> None:
        self.users = users
        self.transaction = transaction
        self.passwords = passwords

    async def register(self, email: str, password: str, *, is_admin: bool = False) -> bool:
        """Add a user. Return False, after the same work, if the address is taken."""
        password_hash = await self.passwords.hash(password)
        try:
            async with self.transaction:
                user = User(
                    id=uuid7(),  # made last: ids come in the order of the commits, or nearly
                    email=email,
                    password_hash=password_hash,
                    full_name=None,
                    is_admin=is_admin,
                    created_at=datetime.now(UTC),
                )
                await self.users.add(user)
        except EmailTaken:
            return False
        return True

    async def get(self, user_id: UUID, *, seen_by: User) -> User:
        """Return oneself or, for an admin, anyone. Raises NotFound for all others, there or not."""
        user = await self.users.get(user_id) if seen_by.is_admin or seen_by.id == user_id else None
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def page(self, size: int, after: UUID | None, *, seen_by: User) -> Sequence[User]:
        """Return a page of all users. Raises NotAllowed unless an admin asks."""
        if not seen_by.is_admin:
            raise NotAllowed("Only an admin may list users.")
        return await self.users.page(size, after)

    async def change(self, user: User, changes: Mapping[str, Any]) -> User:
        """Return the changed user. Raises NotFound if it was deleted meanwhile."""
        if not changes:
            return user
        async with self.transaction:
            changed = await self.users.change(user.id, changes)
        if changed is None:
            raise NotFound("There is no such user.")
        return changed

    async def change_password(self, user: User, current: str, new: str) -> None:
        """Raises NotAllowed if the current password is wrong."""
        if not await self.passwords.verify(current, user.password_hash):
            raise NotAllowed("The current password is wrong.")
        await self.change(user, {"password_hash": await self.passwords.hash(new)})

    async def delete(self, user: User) -> None:
        async with self.transaction:
            await self.users.delete(user.id)

    async def make_admin(self, email: str) -> bool:
        """Return False if there is no such user."""
        async with self.transaction:
            user = await self.users.get_by_email(email)
            if user is not None:
                await self.users.change(user.id, {"is_admin": True})
        return user is not None
