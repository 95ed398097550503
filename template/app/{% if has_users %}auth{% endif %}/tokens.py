"""Signed tokens (JWT, RFC 7519): access tokens, and the cookies of known devices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import time
from typing import Any
from uuid import UUID, uuid4

import jwt

from app.auth.errors import NotAuthenticated
from app.settings import Settings

_ALGORITHM = "HS256"
_CLAIMS = ["aud", "exp", "iat", "iss", "jti", "sub", "typ"]
_LEEWAY = timedelta(seconds=5)  # between the clocks of two workers
_DEVICE_LIFETIME = timedelta(days=90)
_MAX_KEPT = 4096  # verified tokens
_INVALID = "The access token is invalid or has expired."


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    user_id: UUID
    version: int
    expires_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class VerifiedDevice:
    id: str
    user_id: UUID
    version: int


class SignedTokens:
    """Issues and verifies tokens of one type for this service."""

    def __init__(self, settings: Settings, kind: str, lifetime: timedelta) -> None:
        self.lifetime = lifetime
        self._kind = kind
        self._service = settings.service_slug
        self._key = settings.secret_key.get_secret_value()
        self._jwt = jwt.PyJWT(options={"require": _CLAIMS, "enforce_minimum_key_length": True})

    def sign(self, subject: UUID, **claims: Any) -> str:
        """Return a new token. Raise PyJWT's InvalidKeyError if the key is too short."""
        now = datetime.now(UTC)
        own = {
            "aud": self._service,
            "exp": now + self.lifetime,
            "iat": now,
            "iss": self._service,
            "jti": uuid4().hex,
            "sub": str(subject),
            "typ": self._kind,
        }
        return self._jwt.encode(own | claims, self._key, _ALGORITHM)

    def read(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token. Raise PyJWT's InvalidTokenError."""
        claims: dict[str, Any] = self._jwt.decode(
            token,
            self._key,
            [_ALGORITHM],
            audience=self._service,
            issuer=self._service,
            leeway=_LEEWAY,
        )
        if claims["typ"] != self._kind:
            raise jwt.InvalidTokenError("another type")
        return claims


class AccessTokens(SignedTokens):
    """Tokens that authenticate a user until they expire or the user's `token_version` changes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "access", timedelta(minutes=settings.access_token_minutes))
        # A client sends its token with each request, and what is signed stays true until it ends.
        self._verified = lru_cache(_MAX_KEPT)(self._verify)

    def issue(self, user_id: UUID, version: int = 0) -> str:
        """Return a new token. Raise PyJWT's InvalidKeyError if the key is too short."""
        return self.sign(user_id, ver=version)

    def verify(self, token: str) -> VerifiedToken:
        """Return what a token says. Raise NotAuthenticated if it is invalid or has expired."""
        verified = self._verified(token)
        if verified.expires_at <= time() - _LEEWAY.total_seconds():
            raise NotAuthenticated(_INVALID)
        return verified

    def _verify(self, token: str) -> VerifiedToken:
        try:
            claims = self.read(token)
            return VerifiedToken(UUID(claims["sub"]), int(claims["ver"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise NotAuthenticated(_INVALID) from None


class DeviceTokens(SignedTokens):
    """Cookies of devices on which a user has signed in.

    Strangers who guess at a password lock the account for themselves alone (OWASP, "Slow Down
    Online Guessing Attacks with Device Cookies").
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "device", _DEVICE_LIFETIME)

    def issue(self, user_id: UUID, version: int = 0) -> str:
        return self.sign(user_id, ver=version)

    def verify(self, token: str) -> VerifiedDevice | None:
        """Return what a cookie says, None if it is invalid or has expired."""
        try:
            claims = self.read(token)
            return VerifiedDevice(claims["jti"], UUID(claims["sub"]), int(claims["ver"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return None
