"""Access tokens: JWTs (RFC 7519) that say who calls, for some minutes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from app.auth.errors import NotAuthenticated
from app.settings import Settings

_ALGORITHM = "HS256"
_NAME = "app"
"""Both issuer and audience: this service reads only what it wrote."""
_TYPE = "access"
_CLAIMS = ["aud", "exp", "iat", "iss", "jti", "sub", "typ"]


class AccessTokens:
    """Writes and reads access tokens. Raises InvalidKeyError from PyJWT if the key is too short."""

    def __init__(self, settings: Settings) -> None:
        self.lifetime = timedelta(minutes=settings.access_token_minutes)
        self._key = settings.secret_key.get_secret_value()
        self._jwt = jwt.PyJWT(options={"require": _CLAIMS, "enforce_minimum_key_length": True})

    def issue(self, user_id: UUID) -> str:
        now = datetime.now(UTC)
        claims = {
            "aud": _NAME,
            "exp": now + self.lifetime,
            "iat": now,
            "iss": _NAME,
            "jti": uuid4().hex,
            "sub": str(user_id),
            "typ": _TYPE,
        }
        return self._jwt.encode(claims, self._key, _ALGORITHM)

    def verify(self, token: str) -> UUID:
        """Return whose token it is. Raises NotAuthenticated for any other than a valid access token."""
        try:
            claims = self._jwt.decode(token, self._key, [_ALGORITHM], audience=_NAME, issuer=_NAME)
            if claims["typ"] == _TYPE:
                return UUID(claims["sub"])
        except (jwt.InvalidTokenError, ValueError):
            pass
        raise NotAuthenticated("The access token is not valid, or no longer.")
