"""Signing in and authentication."""

from app.auth.errors import NotAuthenticated
from app.auth.limiter import SignInLimiter
from app.auth.tokens import AccessTokens
from app.users.models import User
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.schemas import normalize_email


class SignInService:
    def __init__(
        self,
        repository: UserRepository,
        hasher: PasswordHasher,
        tokens: AccessTokens,
        limiter: SignInLimiter,
    ) -> None:
        self.repository = repository
        self.hasher = hasher
        self.tokens = tokens
        self.limiter = limiter

    async def sign_in(self, email: str, password: str, client_ip: str) -> str:
        """Return an access token. Raise NotAuthenticated or TooManyAttempts.

        An unknown user and a wrong password cannot be told apart, not even by the time they take.
        """
        email = normalize_email(email)[:254]  # the longest valid e-mail address
        await self.limiter.check(email, client_ip)
        user = await self.repository.get_by_email(email)
        matches = await self.hasher.verify(password, user.password_hash if user else None)
        if user is None or not matches:
            raise NotAuthenticated("The e-mail address or the password is wrong.")
        await self.limiter.reset(email)
        return self.tokens.issue(user.id)


class Authenticator:
    def __init__(self, repository: UserRepository, tokens: AccessTokens) -> None:
        self.repository = repository
        self.tokens = tokens

    async def authenticate(self, token: str) -> User:
        """Return the user of an access token.

        Raise NotAuthenticated if the token is invalid or expired, or the user was deleted.
        """
        user = await self.repository.get(self.tokens.verify(token).user_id)
        if user is None:
            raise NotAuthenticated("The access token is invalid or has expired.")
        return user
