"""Members of rooms are users, by an access token."""

import time
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest
from httpx2 import AsyncClient
from websockets.exceptions import InvalidStatus

from app.auth.service import Authenticator
from app.auth.tokens import AccessTokens
from app.kit.errors import Unavailable
from app.kit.lifecycle import Override, override
from app.rooms.policy import RoomPolicy
from app.settings import Settings
from tests.kit.websockets.fixtures import Serve
from tests.rooms.clients import new_token
from tests.users.people import PASSWORD


@pytest.fixture
async def token(settings: Settings, overrides: list[Override]) -> str:
    token = await new_token(settings, overrides)
    assert token is not None
    return token


async def test_token_as_a_subprotocol_names_the_user(
    serve: Serve, token: str, settings: Settings
) -> None:
    async with serve() as server:
        client = await server.join("/ws", token=token)
        assert client.name == str(AccessTokens(settings).verify(token).user_id)


async def test_invalid_token_is_a_401_before_the_connection_is_accepted(serve: Serve) -> None:
    async with serve() as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect("/ws", token="wrong")
        response = raised.value.response
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_token_in_the_first_message(serve: Serve, token: str) -> None:
    async with serve() as server:
        client = await server.connect("/ws")
        await client.send(type="authenticate", access_token=token)
        assert (await client.receive())["type"] == "ready"


@pytest.mark.parametrize("first", ['{"type": "authenticate", "access_token": "wrong"}', None])
async def test_connection_without_a_valid_token_is_closed(serve: Serve, first: str | None) -> None:
    async with serve(websocket_sign_in_timeout=0.2) as server:
        client = await server.connect("/ws")
        if first is not None:
            await client.connection.send(first)
        assert await client.closed() == 4401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sign-out", None),
        ("POST", "/profile/password", {"current_password": PASSWORD, "new_password": 2 * PASSWORD}),
        ("DELETE", "/profile", None),
    ],
)
async def test_connections_end_with_the_sessions_of_the_user(
    serve: Serve, token: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    async with serve() as server, AsyncClient(base_url=f"http://{server.url}") as http:
        client = await server.join("/ws", token=token)
        headers = {"Authorization": f"Bearer {token}"}
        response = await http.request(method, path, json=body, headers=headers)
        assert response.is_success
        assert await client.closed() == 4401
        with pytest.raises(InvalidStatus) as raised:
            await server.connect("/ws", token=token)
        assert raised.value.response.status_code == 401


async def test_policy_refuses_entry_with_4403_after_the_first_message(
    serve: Serve, token: str
) -> None:
    policy = AsyncMock(spec=RoomPolicy)
    policy.may_enter.return_value = False
    async with serve(override(RoomPolicy, policy)) as server:
        client = await server.connect("/ws")
        await client.send(type="authenticate", access_token=token)
        assert await client.closed() == 4403


async def test_outage_while_signing_in_is_not_a_refusal(serve: Serve, token: str) -> None:
    authenticator = AsyncMock(spec=Authenticator)
    authenticator.authenticate.side_effect = Unavailable("The database is not available.")
    async with serve(override(Authenticator, authenticator)) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect("/ws", token=token)
        assert raised.value.response.status_code == 503
        client = await server.connect("/ws")
        await client.send(type="authenticate", access_token=token)
        assert await client.closed() == 1013


async def test_connection_ends_with_its_token_unless_that_is_renewed(
    serve: Serve, token: str, settings: Settings, overrides: list[Override]
) -> None:
    tokens = AccessTokens(settings)
    user_id = tokens.verify(token).user_id
    tokens.lifetime = timedelta(seconds=2)  # a token's expiry is in whole seconds
    other = await new_token(settings, overrides)
    async with serve() as server:
        expiring, renewed = [
            await server.join("/ws", token=tokens.issue(user_id)) for _ in range(2)
        ]
        await renewed.send(type="authenticate", access_token=token)
        started = time.monotonic()
        await renewed.send(type="authenticate", access_token=other)
        assert "someone else" in (await renewed.receive())["detail"]
        await renewed.send(type="authenticate", access_token="wrong")
        assert (await renewed.receive())["type"] == "error"
        assert await expiring.closed() == 4401
        assert time.monotonic() - started < 6
        await renewed.send(type="ping")
        assert await renewed.receive() == {"type": "pong"}
