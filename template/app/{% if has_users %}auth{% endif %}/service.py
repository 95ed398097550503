"""Signing in and authentication."""

from typing import NamedTuple

from app.auth.errors import NotAuthenticated
from app.auth.limits import SignInLimits
from app.auth.tokens import AccessTokens, DeviceTokens, VerifiedDevice
from app.kit.errors import InvalidText
from app.users.models import User
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.schemas import normalize_email


class SignedIn(NamedTuple):
    access_token: str
    device_token: str


class SignInService:
    def __init__(
        self,
        repository: UserRepository,
        hasher: PasswordHasher,
        tokens: AccessTokens,
        devices: DeviceTokens,
        limits: SignInLimits,
    ) -> None:
        self.repository = repository
        self.hasher = hasher
        self.tokens = tokens
        self.devices = devices
        self.limits = limits

    async def sign_in(
        self, email: str, password: str, client_ip: str, device_token: str | None = None
    ) -> SignedIn:
        """Return an access token, and one for the device. Raise NotAuthenticated, TooManyRequests.

        An unknown user and a wrong password cannot be told apart, not even by the time they take.
        """
        email = normalize_email(email)
        device = self.devices.verify(device_token) if device_token else None
        if device is None:  # before the database is asked
            await self.limits.check_sign_in(email, client_ip)
        user = await self._find(email)
        if device is not None:
            device = device if _is_known(device, user) else None
            await self.limits.check_sign_in(email, client_ip, device)
        verified = await self.hasher.verify(password, user.password_hash if user else None)
        if user is None or not verified.matches:
            raise NotAuthenticated("The e-mail address or the password is wrong.")
        if verified.new_hash is not None:  # the parameters of the hasher have changed
            await self.repository.replace_hash(user, verified.new_hash)
        await self.limits.reset_sign_in(email, device)
        access_token = self.tokens.issue(user.id, user.token_version)
        return SignedIn(access_token, self.devices.issue(user.id, user.token_version))

    async def _find(self, email: str) -> User | None:
        try:
            return await self.repository.get_by_email(email)
        except InvalidText:  # nobody has such an address
            return None


def _is_known(device: VerifiedDevice, user: User | None) -> bool:
    """Tell whether the user has signed in on the device since the sessions were last ended."""
    return user is not None and (device.user_id, device.version) == (user.id, user.token_version)


class Authenticator:
    def __init__(self, repository: UserRepository, tokens: AccessTokens) -> None:
        self.repository = repository
        self.tokens = tokens

    async def authenticate(self, token: str) -> User:
        """Return the user of an access token.

        Raise NotAuthenticated if the token is invalid or expired, or the user has signed out,
        changed the password or was deleted.
        """
        verified = self.tokens.verify(token)
        user = await self.repository.get(verified.user_id)
        if user is None or user.token_version != verified.version:
            raise NotAuthenticated("The access token is invalid or has expired.")
        return user
