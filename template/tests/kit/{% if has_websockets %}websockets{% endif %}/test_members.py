"""The identity of a client, the rooms it may enter, and its removal."""

import asyncio
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from app.kit.errors import NotAllowed, NotFound, ServiceError, Unavailable
from app.kit.lifecycle import WorkScope
from app.kit.websockets import Member
from tests.kit.websockets.fixtures import Serve, until
from tests.kit.websockets.talk import Said, TalkEndpoint


class SignInEndpoint(TalkEndpoint):
    """Requires a token."""

    async def authenticate(self, scope: WorkScope, token: str | None) -> Member | None:
        return None if token is None else await super().authenticate(scope, token)


class RefusingEndpoint(SignInEndpoint):
    """Refuses entry with `error`, if there is one."""

    def __init__(self, error: ServiceError | None = None) -> None:
        self.error = error

    async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
        if self.error is not None:
            raise self.error


async def test_token_as_a_subprotocol(serve: Serve) -> None:
    async with serve(endpoint=SignInEndpoint()) as server:
        client = await server.join(token="ada")
        assert client.connection.subprotocol == "bearer"
        assert client.name == "ada"


@pytest.mark.parametrize("protocols", [["bearer", "wrong"], ["bearer"], ["bearer", "a", "b"]])
async def test_invalid_token_is_refused_before_the_connection_is_accepted(
    serve: Serve, protocols: list[str]
) -> None:
    async with serve(endpoint=SignInEndpoint()) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect(subprotocols=[Subprotocol(each) for each in protocols])
        assert raised.value.response.status_code == 401


async def test_token_in_the_first_message(serve: Serve) -> None:
    async with serve(endpoint=SignInEndpoint()) as server:
        client = await server.connect()
        await client.send(type="authenticate", access_token="ada")
        assert await client.receive() == {"type": "ready", "room": "lobby", "sender": "ada"}


@pytest.mark.parametrize(
    "first",
    ["nonsense", '{"type": "ping"}', '{"type": "authenticate", "access_token": "wrong"}', None],
)
async def test_connection_without_a_valid_token_is_closed(serve: Serve, first: str | None) -> None:
    async with serve(endpoint=SignInEndpoint(), websocket_sign_in_timeout=0.2) as server:
        client = await server.connect()
        if first is not None:
            await client.connection.send(first)
        assert await client.closed() == 4401


async def test_connection_ends_with_its_token_unless_that_is_renewed(serve: Serve) -> None:
    async with serve(endpoint=SignInEndpoint()) as server:
        soon = time.time() + 1
        expiring, renewed = [await server.join(token=f"{name}_{soon}") for name in ("ada", "grace")]
        for token, answer in (("ada", "someone else"), ("wrong", "invalid")):
            await renewed.send(type="authenticate", access_token=token)
            assert answer in (await renewed.receive())["detail"]
        await renewed.send(type="authenticate", access_token=f"grace_{soon + 60}")
        assert await expiring.closed() == 4401
        assert 0 <= time.time() - soon < 3
        await renewed.send(type="ping")
        assert await renewed.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotAllowed("Members only."), 403, 4403),
        (NotFound("No such room."), 404, 4404),
        (Unavailable("The directory is not available."), 503, 1013),
    ],
)
async def test_refused_entry_is_an_http_status_or_a_close_code(
    serve: Serve, error: ServiceError, status: int, code: int
) -> None:
    async with serve(endpoint=RefusingEndpoint(error)) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect(token="ada")
        assert raised.value.response.status_code == status
        assert str(error).encode() in (raised.value.response.body or b"")
        client = await server.connect()
        await client.send(type="authenticate", access_token="ada")
        assert await client.closed() == code
        hub = await server.hub()
        assert not hub.members("lobby")


async def test_entry_is_checked_again_when_the_token_is_renewed(serve: Serve) -> None:
    endpoint = RefusingEndpoint()
    async with serve(endpoint=endpoint) as server:
        client = await server.join(token="ada")
        endpoint.error = Unavailable("The directory is not available.")
        await client.send(type="authenticate", access_token="ada")
        assert (await client.receive())["detail"] == "The directory is not available."
        endpoint.error = NotAllowed("Banned.")
        await client.send(type="authenticate", access_token="ada")
        assert await client.closed() == 4403


async def test_removed_member_is_disconnected_at_once(serve: Serve) -> None:
    async with serve() as server:
        hub = await server.hub()
        ada, again = [await server.join(token="ada") for _ in range(2)]
        elsewhere, grace = (
            await server.join("/talk/other", token="ada"),
            await server.join(token="grace"),
        )
        await hub.remove("lobby", "ada")
        await hub.broadcast("lobby", Said(room="lobby", sender="", text="after"))
        assert {each.name for each in hub.members("lobby")} == {"grace"}
        started = time.monotonic()
        assert await ada.closed() == await again.closed() == 4403
        assert time.monotonic() - started < 3
        assert await grace.receive_texts(1) == ["after"]
        await elsewhere.send(type="say", text="still here")
        assert await elsewhere.receive_texts(1) == ["still here"]


async def test_disconnected_member_leaves_every_room_at_once(serve: Serve) -> None:
    async with serve() as server:
        hub = await server.hub()
        ada, elsewhere, grace = (
            await server.join(token="ada"),
            await server.join("/talk/other", token="ada"),
            await server.join(token="grace"),
        )
        await hub.disconnect("ada")
        assert await ada.closed() == await elsewhere.closed() == 4401
        await grace.send(type="say", text="still here")
        assert await grace.receive_texts(1) == ["still here"]


async def test_member_of_two_rooms_stays_connected_when_removed_from_one(serve: Serve) -> None:
    async with serve() as server:
        hub, client = await server.hub(), await server.join(token="ada")
        (connection,) = hub.members("lobby")
        await hub.join(connection, "other")
        await hub.remove("lobby", "ada")
        for room in ("lobby", "other"):
            await hub.broadcast(room, Said(room=room, sender="", text=room))
        assert await client.receive_texts(1) == ["other"]


@pytest.mark.parametrize("accepted", [False, True])
async def test_member_removed_while_entering_does_not_get_in(serve: Serve, accepted: bool) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(SignInEndpoint):
        async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
            asked.set()
            await go_on.wait()

    async with serve(endpoint=Slow()) as server:
        hub = await server.hub()
        if accepted:
            client = await server.connect()
            await client.send(type="authenticate", access_token="ada")
        else:
            connecting = asyncio.create_task(server.connect(token="ada"))
        await asked.wait()
        await hub.remove("lobby", "ada")
        go_on.set()
        if accepted:
            assert await client.closed() == 4403
        else:
            with pytest.raises(InvalidStatus) as raised:
                await connecting
            assert raised.value.response.status_code == 403
        await until(lambda: not hub._connections)
