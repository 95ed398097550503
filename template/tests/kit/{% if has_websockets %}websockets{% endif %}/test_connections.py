"""Connections and rooms, on a real server."""

import asyncio
import json
import logging
import time
from typing import Any
from unittest.mock import AsyncMock

import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus

from app.kit.lifecycle import WorkScope
from app.kit.logs import configure_logging
from app.kit.websockets import Connection, Hub, Member
from app.kit.websockets.connection import Outgoing
from app.settings import Settings
from tests.kit.websockets.fixtures import Client, Serve, Server, until
from tests.kit.websockets.talk import Said, TalkEndpoint


async def test_message_reaches_everyone_in_its_room_in_order(serve: Serve) -> None:
    async with serve() as server:
        ada, grace = await server.join(), await server.join()
        other = await server.join("/talk/other")
        for number in range(20):
            await ada.send(type="say", text=str(number))
        texts = [str(number) for number in range(20)]
        assert await ada.receive_texts(20) == texts
        assert await grace.receive_texts(20) == texts
        await other.send(type="say", text="alone")
        message = await other.receive()
        assert (message["room"], message["text"]) == ("other", "alone")


async def test_hub_sends_to_one_member_and_moves_members_between_rooms(serve: Serve) -> None:
    async with serve() as server:
        hub, ada, grace = await server.hub(), await server.join(), await server.join()
        members = {each.name: each for each in hub.members("lobby")}
        assert members.keys() == {ada.name, grace.name}
        hub.send(members[ada.name], Said(room="lobby", sender="", text="for you"))
        hub.leave(members[grace.name], "lobby")
        await hub.broadcast("lobby", Said(room="lobby", sender="", text="for all"))
        await hub.join(members[grace.name], "other")
        await hub.broadcast("other", Said(room="other", sender="", text="elsewhere"))
        assert await ada.receive_texts(2) == ["for you", "for all"]
        assert await grace.receive_texts(1) == ["elsewhere"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("not json", "Invalid JSON"),
        ("[]", "an object"),
        ("{}", "type"),
        ('{"type": "shout"}', "shout"),
        ('{"type": "say"}', "text: Field required"),
        ('{"type": "say", "text": ""}', "text: "),
        ('{"type": "say", "text": "x", "room": "other"}', "Extra inputs"),
        (b"\x00", "Invalid JSON"),
        (json.dumps({"type": "x" * 10_000}), "xxx"),
        (json.dumps({"type": "ping", **dict.fromkeys("abcdefghijklmnopqrstuvw")}), "Extra inputs"),
    ],
)
async def test_invalid_message_is_answered_with_an_error(
    serve: Serve, sent: str | bytes, said: str
) -> None:
    async with serve() as server:
        client = await server.join()
        await client.connection.send(sent)
        message = await client.receive()
        assert message["type"] == "error"
        assert said in message["detail"]
        assert len(message["detail"]) <= 300
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


async def test_failing_message_is_answered_and_leaves_the_connection_open(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(TalkEndpoint):
        async def receive(self, *_: Any) -> None:
            raise RuntimeError("secret")

    async with serve(endpoint=Failing()) as server:
        client = await server.join()
        await client.send(type="say", text="x")
        assert await client.receive() == {"type": "error", "detail": "Internal error."}
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}
    assert "message not handled" in caplog.messages


async def test_failure_outside_of_a_message_closes_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Hub, "join", AsyncMock(side_effect=RuntimeError("secret")))
    async with serve() as server:
        client = await server.connect()
        assert await client.closed() == 1011
    assert "secret" in caplog.text


async def test_exceeded_limits_close_with_their_own_codes(serve: Serve) -> None:
    async with serve(websocket_max_message_size=100, websocket_burst=3) as server:
        client = await server.join()
        await client.send(type="say", text="x" * 100)
        assert await client.closed() == 1009
        client = await server.join()
        for _ in range(4):
            await client.send(type="ping")
        assert await client.closed() == 4429
    async with serve(websocket_idle_timeout=0.2) as server:
        assert await (await server.join()).closed() == 4408


async def test_message_rate_recovers_and_does_not_accumulate(serve: Serve) -> None:
    async with serve(websocket_burst=3, websocket_rate=50) as server:
        client = await server.join()
        for _ in range(3):
            for _ in range(3):
                await client.send(type="ping")
                assert await client.receive() == {"type": "pong"}
            await asyncio.sleep(0.3)
        for _ in range(30):
            await client.send(type="ping")
        assert await client.closed() == 4429


async def test_closing_a_connection_takes_effect_at_once(serve: Serve) -> None:
    async with serve(websocket_send_timeout=10) as server:
        client, hub = await server.join(), await server.hub()
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}
        (connection,) = hub.members("lobby")
        connection.close(1013)
        started = time.monotonic()
        assert await client.closed() == 1013
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("ended_by", ["client", "service"])
async def test_received_message_is_handled_although_the_connection_ends(
    serve: Serve, ended_by: str
) -> None:
    handled: list[str] = []

    class Slow(TalkEndpoint):
        async def receive(self, scope: WorkScope, room: str, member: Member, message: Any) -> None:
            (connection,) = hub.members(room)
            hub.send(connection, Said(room=room, sender=member.name, text=message.text))
            if ended_by == "service":
                connection.close(1013)
            await asyncio.sleep(0.1)
            handled.append(message.text)

    async with serve(endpoint=Slow()) as server:
        hub = await server.hub()
        for text in "abc":
            client = await server.join()
            await client.send(type="say", text=text)
            if ended_by == "client":
                client.connection.transport.abort()
            await until(lambda: not hub.members("lobby"))
        await until(lambda: handled == ["a", "b", "c"])


async def test_malformed_frames_log_no_error(
    serve: Serve, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    configure_logging(settings)
    async with serve(cors_origins=["https://ours.example"]) as server:
        for nonsense in (b"\x81\x82\0\0\0\0\xff\xfe", b"\xff\xff", b"\x81\xff" + b"\xff" * 8):
            client = await server.join()
            await client.send(type="say", text="x")
            client.connection.transport.write(nonsense)
            assert await client.closed() in (1002, 1006, 1007, 1009)
        with pytest.raises(InvalidStatus):
            await server.join(origin="https://theirs.example")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_pages_of_foreign_origins_are_refused(serve: Serve) -> None:
    async with serve(cors_origins=["https://ours.example"]) as server:
        for origin in ("https://theirs.example", "null", "http://127.0.0.1:1"):
            with pytest.raises(InvalidStatus) as raised:
                await server.join(origin=origin)
            response = raised.value.response
            assert response.status_code == 403
            assert response.headers["Content-Type"] == "application/problem+json"
            assert "X-Request-ID" in response.headers
        for ours in ("https://ours.example", f"http://{server.url}", None):
            await server.join(origin=ours)


async def test_unknown_path_is_logged_as_refused(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.requests")
    async with serve() as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect("/nowhere")
    assert raised.value.response.status_code == 403
    [record] = [each for each in caplog.records if each.name == "app.requests"]
    logged = record.__dict__
    assert (logged["method"], logged["path"], logged["status"]) == ("WEBSOCKET", "/nowhere", 403)


async def test_invalid_room_and_too_many_connections_are_refused(serve: Serve) -> None:
    async with serve(websocket_max_connections=1) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.join("/talk/no%20room")
        assert raised.value.response.status_code == 404
        first = await server.join()
        with pytest.raises(InvalidStatus) as raised:
            await server.join()
        assert raised.value.response.status_code == 503
        assert raised.value.response.headers["Retry-After"] == "1"
        hub = await server.hub()
        await first.connection.close()
        await until(lambda: not hub._connections)
        await server.join()


async def stalled(server: Server) -> Client:
    """Return a client that has stopped reading."""
    client = await server.join()
    client.connection.transport.pause_reading()
    return client


async def test_stalled_client_is_closed_and_delays_no_other(serve: Serve) -> None:
    async with serve(websocket_send_timeout=2) as server:
        ada, slow = await server.join(), await stalled(server)
        hub = await server.hub()
        text = "x" * 50_000
        for number in range(400):
            await hub.broadcast("lobby", Said(room="lobby", sender="", text=text))
            assert (await ada.receive())["text"] == text, number
            if any(each.close_code for each in hub.members("lobby")):
                break
        await until(lambda: len(hub.members("lobby")) == 1)
        slow.connection.transport.resume_reading()
        assert await slow.closed() == 1013
        await ada.send(type="ping")
        assert await ada.receive() == {"type": "pong"}


async def test_unresponsive_client_is_detected_by_pings(serve: Serve) -> None:
    async with serve(websocket_ping_interval=1) as server:
        ada, hub = await server.join(), await server.hub()
        await stalled(server)
        assert len(hub.members("lobby")) == 2
        await until(lambda: len(hub.members("lobby")) == 1)
        await ada.send(type="ping")
        assert await ada.receive() == {"type": "pong"}


async def test_aborted_clients_do_not_disturb_others(serve: Serve) -> None:
    async with serve() as server:
        ada, lost = await server.join(), [await server.join() for _ in range(5)]
        hub = await server.hub()
        for client in lost:
            client.connection.transport.abort()
            await ada.send(type="say", text="still here")
        assert await ada.receive_texts(5) == ["still here"] * 5
        await until(lambda: len(hub.members("lobby")) == 1)


async def test_closed_connections_leave_no_state(serve: Serve) -> None:
    before = asyncio.all_tasks()
    async with serve() as server:
        hub = await server.hub()
        for _ in range(3):
            clients = await asyncio.gather(*(server.join() for _ in range(10)))
            await clients[0].send(type="say", text="x")
            await asyncio.gather(*(client.connection.close() for client in clients))
        await until(lambda: not hub._connections)
        assert hub._rooms == {}
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_stopping_server_closes_with_1012(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with serve() as server:
        clients = [await server.join() for _ in range(3)]
        server.stop()
        assert [await client.closed() for client in clients] == [1012] * 3
    assert not caplog.records


@pytest.mark.parametrize("bound", [{"websocket_outbox_messages": 3}, {"websocket_outbox_size": 6}])
async def test_outbox_of_a_stalled_client_is_bounded(
    settings: Settings, bound: dict[str, int]
) -> None:
    async def hang(_: str) -> None:
        await asyncio.sleep(60)

    websocket = AsyncMock(spec=WebSocket)
    websocket.send_text.side_effect = hang
    connection = Connection(websocket, settings.model_copy(update=bound), AsyncMock())
    writing = asyncio.create_task(connection.write())
    connection.send(Outgoing.of("being sent"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(3):
        connection.send(Outgoing.of("ü"))
    assert connection.close_code is None
    connection.send(Outgoing.of("ü"))
    assert connection.close_code == 1013
    writing.cancel()


async def test_burst_closes_no_client_that_reads(serve: Serve) -> None:
    async with serve(websocket_outbox_messages=10) as server:
        clients, hub = [await server.join() for _ in range(3)], await server.hub()
        for number in range(300):
            said = Said(room="lobby", sender="", text=str(number))
            await hub.broadcast("lobby", said)
            assert max(len(each._outbox) for each in hub.members("lobby")) <= 2
        for client in clients:
            assert await client.receive_texts(300) == [str(number) for number in range(300)]
        # All at once, before any writer has run.
        await asyncio.gather(*(hub.broadcast("lobby", said) for _ in range(300)))
        for client in clients:
            assert await client.receive_texts(300) == ["299"] * 300
