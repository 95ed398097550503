"""Who may connect: users, by an access token."""

import time
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from app.auth.service import Authenticator
from app.auth.tokens import AccessTokens
from app.errors import Unavailable
from app.overrides import Override, override
from app.settings import Settings
from tests.websockets.fixtures import Serve
from tests.websockets.visitors import credentials


@pytest.fixture
async def token(settings: Settings, overrides: list[Override]) -> str:
    protocols = await credentials(settings, overrides)
    assert protocols is not None
    return protocols[1]


async def test_by_subprotocol(serve: Serve, token: str) -> None:
    async with serve() as server:
        client = await server.connect(subprotocols=[Subprotocol("bearer"), Subprotocol(token)])
        assert client.connection.subprotocol == "bearer"
        assert (await client.receive())["type"] == "ready"


@pytest.mark.parametrize("protocols", [["bearer", "wrong"], ["bearer"], ["bearer", "a", "b"]])
async def test_a_bad_token_is_a_401_before_anything_is_accepted(
    serve: Serve, protocols: list[Subprotocol]
) -> None:
    async with serve() as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect(subprotocols=protocols)
        response = raised.value.response
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_by_the_first_message(serve: Serve, token: str) -> None:
    async with serve() as server:
        client = await server.connect()
        await client.send(type="authenticate", access_token=token)
        assert (await client.receive())["type"] == "ready"


@pytest.mark.parametrize(
    "first",
    ["nonsense", '{"type": "ping"}', '{"type": "authenticate", "access_token": "wrong"}', None],
)
async def test_without_a_token_it_is_closed(serve: Serve, first: str | None) -> None:
    async with serve(websocket_sign_in_timeout=0.2) as server:
        client = await server.connect()
        if first is not None:
            await client.connection.send(first)
        assert await client.closed() == 4401


async def test_nobody_is_taken_for_a_stranger_while_that_cannot_be_known(
    serve: Serve, token: str
) -> None:
    authenticator = AsyncMock(spec=Authenticator)
    authenticator.user.side_effect = Unavailable("The database does not answer.")
    async with serve(override(Authenticator, authenticator)) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect(subprotocols=["bearer", token])
        assert raised.value.response.status_code == 503
        client = await server.connect()
        await client.send(type="authenticate", access_token=token)
        assert await client.closed() == 1013


async def test_it_ends_with_its_token_unless_that_is_renewed(
    serve: Serve, token: str, settings: Settings, overrides: list[Override]
) -> None:
    tokens = AccessTokens(settings)
    user_id = tokens.verify(token)
    tokens.lifetime = timedelta(seconds=2)  # the clock of a token counts whole seconds
    others = await credentials(settings, overrides)
    assert others is not None
    async with serve() as server:
        one, renewed = [
            await server.connect(subprotocols=["bearer", tokens.issue(user_id)]) for _ in range(2)
        ]
        await renewed.send(type="authenticate", access_token=token)
        started = time.monotonic()
        assert (await renewed.receive())["type"] == "ready"
        await renewed.send(type="authenticate", access_token=others[1])
        assert "another user" in (await renewed.receive())["detail"]
        await renewed.send(type="authenticate", access_token="wrong")
        assert "not valid" in (await renewed.receive())["detail"]
        assert await one.closed() == 4401
        assert time.monotonic() - started < 6
        await renewed.send(type="ping")
        assert await renewed.receive() == {"type": "pong"}
