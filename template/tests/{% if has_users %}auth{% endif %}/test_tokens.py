"""Access tokens: every claim is checked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import jwt
import pytest
from pydantic import SecretStr

from app.auth.errors import NotAuthenticated
from app.auth.tokens import AccessTokens
from app.settings import Settings

KEY = "a key of thirty-two bytes or more, for tests"
SERVICE = "this-service"
USER = uuid4()


@pytest.fixture
def tokens(settings: Settings) -> AccessTokens:
    own = {"secret_key": SecretStr(KEY), "service_slug": SERVICE}
    return AccessTokens(settings.model_copy(update=own))


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    valid = {
        "aud": SERVICE,
        "exp": now + timedelta(minutes=1),
        "iat": now,
        "iss": SERVICE,
        "jti": "1",
        "sub": str(USER),
        "typ": "access",
        "ver": 0,
    }
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def encode(key: str = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm)


def test_issued_token_is_valid(tokens: AccessTokens) -> None:
    assert tokens.verify(tokens.issue(USER)).user_id == USER
    assert tokens.verify(encode()).user_id == USER
    token = tokens.issue(USER)
    issued = jwt.decode(token, options={"verify_signature": False})
    assert tokens.verify(token).expires_at == issued["exp"]
    assert issued["exp"] - issued["iat"] == 15 * 60
    assert issued.keys() == claims().keys()


@pytest.mark.parametrize("claim", ["aud", "exp", "iat", "iss", "jti", "sub", "typ", "ver"])
def test_missing_claim_is_refused(tokens: AccessTokens, claim: str) -> None:
    changes: dict[str, Any] = {claim: None}
    with pytest.raises(NotAuthenticated):
        tokens.verify(encode(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another service"},
        {"iss": "another issuer"},
        {"typ": "device"},
        {"ver": "none"},
        {"sub": "no id"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"iat": datetime(2100, 1, 1, tzinfo=UTC)},
    ],
)
def test_wrong_claim_is_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(encode(**changes))


def test_token_that_was_valid_is_verified_once_and_expires(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.issue(USER)
    verified = tokens.verify(token)
    monkeypatch.setattr(jwt.PyJWT, "decode", Mock(side_effect=AssertionError))
    assert tokens.verify(token) == verified
    monkeypatch.setattr("app.auth.tokens.time", lambda: verified.expires_at + 4)
    assert tokens.verify(token) == verified
    monkeypatch.setattr("app.auth.tokens.time", lambda: verified.expires_at + 5)
    with pytest.raises(NotAuthenticated):
        tokens.verify(token)


def test_clocks_of_workers_may_differ_by_seconds(tokens: AccessTokens) -> None:
    now = datetime.now(UTC)
    assert tokens.verify(encode(iat=now + timedelta(seconds=3)))
    assert tokens.verify(encode(exp=now - timedelta(seconds=3)))
    late: list[dict[str, Any]] = [
        {"iat": now + timedelta(seconds=9)},
        {"exp": now - timedelta(seconds=9)},
    ]
    for changes in late:
        with pytest.raises(NotAuthenticated):
            tokens.verify(encode(**changes))


def test_other_key_or_algorithm_is_refused(tokens: AccessTokens) -> None:
    unsigned = jwt.encode(claims(), "", "none")
    for token in (
        encode(key="x" * 48),
        encode(key="x" * 64, algorithm="HS512"),
        unsigned,
        "",
        "a.b.c",
    ):
        with pytest.raises(NotAuthenticated):
            tokens.verify(token)


def test_short_key_is_refused(settings: Settings) -> None:
    weak = AccessTokens(settings.model_copy(update={"secret_key": SecretStr("short")}))
    with pytest.raises(jwt.InvalidKeyError):
        weak.issue(UUID(int=1))
