"""Access tokens: short-lived JWTs (RFC 7519)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from app.auth.errors import NotAuthenticated
from app.settings import Settings

_ALGORITHM = "HS256"
_ISSUER = _AUDIENCE = "app"
_TYPE = "access"
_CLAIMS = ["aud", "exp", "iat", "iss", "jti", "sub", "typ"]


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    user_id: UUID
    expires_at: float
    """Seconds since the epoch."""


class AccessTokens:
    """Issues and verifies access tokens."""

    def __init__(self, settings: Settings) -> None:
        self.lifetime = timedelta(minutes=settings.access_token_minutes)
        self._key = settings.secret_key.get_secret_value()
        self._jwt = jwt.PyJWT(options={"require": _CLAIMS, "enforce_minimum_key_length": True})

    def issue(self, user_id: UUID) -> str:
        """Return a new token. Raise PyJWT's InvalidKeyError if the key is too short."""
        now = datetime.now(UTC)
        claims = {
            "aud": _AUDIENCE,
            "exp": now + self.lifetime,
            "iat": now,
            "iss": _ISSUER,
            "jti": uuid4().hex,
            "sub": str(user_id),
            "typ": _TYPE,
        }
        return self._jwt.encode(claims, self._key, _ALGORITHM)

    def verify(self, token: str) -> VerifiedToken:
        """Return what a token says. Raise NotAuthenticated if it is invalid or has expired."""
        try:
            claims = self._jwt.decode(
                token, self._key, [_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER
            )
            if claims["typ"] == _TYPE:
                return VerifiedToken(UUID(claims["sub"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError):
            pass
        raise NotAuthenticated("The access token is invalid or has expired.")
