"""Signing in, and telling from a token who calls."""

from app.auth.attempts import Attempts
from app.auth.errors import NotAuthenticated
from app.auth.tokens import AccessTokens
from app.users.models import User
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.schemas import normalised


class SignIn:
    def __init__(
        self,
        users: UserRepository,
        passwords: PasswordHasher,
        tokens: AccessTokens,
        attempts: Attempts,
    ) -> None:
        self.users = users
        self.passwords = passwords
        self.tokens = tokens
        self.attempts = attempts

    async def __call__(self, email: str, password: str, address: str) -> str:
        """Return an access token.

        Raises NotAuthenticated, the same and after the same time for an unknown user and a wrong password,
        and TooManyAttempts.
        """
        account = normalised(email)[:254]  # no address is longer, and attempts are kept by it
        await self.attempts.count(account, address)
        user = await self.users.get_by_email(account)
        right = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or not right:
            raise NotAuthenticated("The e-mail address or the password is wrong.")
        await self.attempts.forget(account)
        return self.tokens.issue(user.id)


class Authenticator:
    def __init__(self, users: UserRepository, tokens: AccessTokens) -> None:
        self.users = users
        self.tokens = tokens

    async def user(self, token: str) -> User:
        """Return whose token it is. Raises NotAuthenticated if it is not valid, or the user is gone."""
        user = await self.users.get(self.tokens.verify(token))
        if user is None:
            raise NotAuthenticated("The access token is not valid, or no longer.")
        return user
