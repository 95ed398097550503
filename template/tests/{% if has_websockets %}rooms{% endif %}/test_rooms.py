"""Rooms, on a real server: what is said, who may enter and send, and removal."""

from unittest.mock import AsyncMock

import pytest
from websockets.exceptions import InvalidStatus

from app.kit.lifecycle import Override, override
from app.rooms.policy import RoomPolicy
from app.settings import Settings
from tests.kit.websockets.fixtures import Client, Serve, Server
from tests.rooms.clients import new_token


@pytest.fixture
def policy() -> AsyncMock:
    return AsyncMock(spec=RoomPolicy, may_enter=AsyncMock(), may_send=AsyncMock())


class Rooms:
    """Connects new clients."""

    def __init__(self, settings: Settings, overrides: list[Override]) -> None:
        self._settings = settings
        self._overrides = overrides

    async def join(self, server: Server, path: str = "/ws") -> Client:
        return await server.join(path, token=await new_token(self._settings, self._overrides))


@pytest.fixture
def rooms(settings: Settings, overrides: list[Override]) -> Rooms:
    return Rooms(settings, overrides)


async def test_message_is_sent_to_everyone_in_the_room(serve: Serve, rooms: Rooms) -> None:
    async with serve() as server:
        ada, grace = await rooms.join(server), await rooms.join(server, "/ws/lobby")
        other = await rooms.join(server, "/ws/other")
        await ada.send(type="say", text="hello")
        said = {"type": "said", "room": "lobby", "sender": ada.name, "text": "hello"}
        assert await ada.receive() == await grace.receive() == said
        await other.send(type="say", text="alone")
        assert await other.receive_texts(1) == ["alone"]


async def test_too_long_a_text_is_an_error(serve: Serve, rooms: Rooms) -> None:
    async with serve() as server:
        client = await rooms.join(server)
        await client.send(type="say", text="x" * 4001)
        assert "at most 4000 characters" in (await client.receive())["detail"]


async def test_policy_refuses_entry_with_403(serve: Serve, rooms: Rooms, policy: AsyncMock) -> None:
    policy.may_enter.side_effect = lambda room, member: room == "lobby"
    async with serve(override(RoomPolicy, policy)) as server:
        await rooms.join(server)
        with pytest.raises(InvalidStatus) as raised:
            await rooms.join(server, "/ws/secret")
        response = raised.value.response
        assert response.status_code == 403
        assert b"You may not enter this room." in (response.body or b"")


async def test_policy_refuses_a_message_with_an_error(
    serve: Serve, rooms: Rooms, policy: AsyncMock
) -> None:
    async with serve(override(RoomPolicy, policy)) as server:
        ada, grace = await rooms.join(server), await rooms.join(server)
        policy.may_send.side_effect = lambda room, member: member.name == grace.name
        await ada.send(type="say", text="refused")
        assert await ada.receive() == {
            "type": "error",
            "detail": "You may not send to this room.",
        }
        await grace.send(type="say", text="allowed")
        assert await ada.receive_texts(1) == ["allowed"]
        assert await grace.receive_texts(1) == ["allowed"]


async def test_policy_removes_a_member_at_once(serve: Serve, rooms: Rooms) -> None:
    async with serve() as server, server.root_scope.new_scope() as scope:
        ada, grace = await rooms.join(server), await rooms.join(server)
        policy = await scope.resolve(RoomPolicy)
        await policy.remove("lobby", ada.name)
        assert await ada.closed() == 4403
        await grace.send(type="say", text="still here")
        assert await grace.receive_texts(1) == ["still here"]
