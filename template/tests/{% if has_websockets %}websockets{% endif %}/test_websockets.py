"""WebSockets, on a real server."""

import asyncio
import json
import logging
import time
from unittest.mock import AsyncMock

import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus

from app.overrides import override
from app.settings import Settings
from app.web.logs import configure_logging
from app.websockets.connection import Connection, Outgoing
from app.websockets.manager import ConnectionManager
from app.websockets.messages import Said
from app.websockets.service import RoomService
from tests.websockets.fixtures import Client, Serve, Server, until


async def test_a_room_hears_what_is_said_in_it(serve: Serve) -> None:
    async with serve() as server:
        ada, grace = await server.join(), await server.join()
        other = await server.join("/ws/other")
        for number in range(20):
            await ada.send(type="say", text=str(number))
        texts = [str(number) for number in range(20)]
        assert await ada.receive_texts(20) == texts
        assert await grace.receive_texts(20) == texts
        await other.send(type="say", text="alone")
        message = await other.receive()
        assert (message["room"], message["text"]) == ("other", "alone")


async def test_who_is_here_can_be_told_something_alone(serve: Serve) -> None:
    async with serve() as server:
        manager, ada, grace = await server.manager(), await server.join(), await server.join()
        here = {each.name: each for each in manager.members("lobby")}
        assert here.keys() == {ada.name, grace.name}
        manager.send(here[ada.name], Said(room="lobby", sender="", text="for you"))
        manager.leave(here[grace.name], "lobby")
        await manager.broadcast("lobby", Said(room="lobby", sender="", text="for all"))
        await manager.join(here[grace.name], "other")
        await manager.broadcast("other", Said(room="other", sender="", text="elsewhere"))
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
async def test_what_is_not_understood_is_said(serve: Serve, sent: str | bytes, said: str) -> None:
    async with serve() as server:
        client = await server.join()
        await client.connection.send(sent)
        message = await client.receive()
        assert message["type"] == "error"
        assert said in message["detail"]
        assert len(message["detail"]) <= 300
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


async def test_a_failure_is_said_and_closes_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    failing = AsyncMock(spec=RoomService)
    failing.say.side_effect = RuntimeError("secret")
    async with serve(override(RoomService, failing)) as server:
        client = await server.join()
        await client.send(type="say", text="x")
        assert await client.receive() == {"type": "error", "detail": "Something went wrong here."}
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}
    assert "a message was not handled" in caplog.messages


async def test_what_fails_outside_of_a_message_closes_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ConnectionManager, "join", AsyncMock(side_effect=RuntimeError("secret")))
    async with serve() as server:
        client = await server.connect(subprotocols=await server.credentials())
        assert await client.closed() == 1011
    assert "secret" in caplog.text


async def test_limits_have_codes_of_their_own(serve: Serve) -> None:
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


async def test_the_allowance_comes_back_and_does_not_pile_up(serve: Serve) -> None:
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


async def test_a_connection_that_is_closed_ends_at_once(serve: Serve) -> None:
    async with serve(websocket_send_timeout=10) as server:
        client, manager = await server.join(), await server.manager()
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}
        (connection,) = manager.members("lobby")
        connection.close(1013)
        started = time.monotonic()
        assert await client.closed() == 1013
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("ended_by", ["client", "service"])
async def test_what_was_received_is_handled_to_its_end(serve: Serve, ended_by: str) -> None:
    """Also if the connection ends at once, and takes with it what is sent to itself."""
    handled: list[str] = []

    async def slow(room: str, sender: str, text: str) -> None:
        (connection,) = manager.members(room)
        manager.send(connection, Said(room=room, sender=sender, text=text))
        if ended_by == "service":
            connection.close(1013)
        await asyncio.sleep(0.1)
        handled.append(text)

    rooms = AsyncMock(spec=RoomService)
    rooms.say.side_effect = slow
    async with serve(override(RoomService, rooms)) as server:
        manager = await server.manager()
        for text in "abc":
            client = await server.join()
            await client.send(type="say", text=text)
            if ended_by == "client":
                client.connection.transport.abort()
            await until(lambda: not manager.members("lobby"))
        await until(lambda: handled == ["a", "b", "c"])


async def test_nonsense_is_no_error_of_ours(
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


async def test_pages_of_others_may_not_connect(serve: Serve) -> None:
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


async def test_a_path_that_nobody_serves_is_logged_as_refused(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.requests")
    async with serve() as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.connect("/nowhere")
    assert raised.value.response.status_code == 403
    [record] = [each for each in caplog.records if each.name == "app.requests"]
    seen = record.__dict__
    assert (seen["method"], seen["path"], seen["status"]) == ("WEBSOCKET", "/nowhere", 403)


async def test_what_is_refused_before_it_is_accepted(serve: Serve) -> None:
    async with serve(websocket_max_connections=1) as server:
        with pytest.raises(InvalidStatus) as raised:
            await server.join("/ws/no%20room")
        assert raised.value.response.status_code == 404
        first = await server.join()
        with pytest.raises(InvalidStatus) as raised:
            await server.join()
        assert raised.value.response.status_code == 503
        assert raised.value.response.headers["Retry-After"] == "1"
        manager = await server.manager()
        await first.connection.close()
        await until(lambda: manager._count == 0)
        await server.join()


async def stalled(server: Server) -> Client:
    """Return a client that takes nothing any more."""
    client = await server.join()
    client.connection.transport.pause_reading()
    return client


async def test_who_takes_nothing_delays_nobody_and_is_closed(serve: Serve) -> None:
    async with serve(websocket_send_timeout=2) as server:
        ada, slow = await server.join(), await stalled(server)
        manager = await server.manager()
        text = "x" * 50_000
        for number in range(400):
            await manager.broadcast("lobby", Said(room="lobby", sender="", text=text))
            assert (await ada.receive())["text"] == text, number
            if any(each.close_code for each in manager.members("lobby")):
                break
        await until(lambda: len(manager.members("lobby")) == 1)
        slow.connection.transport.resume_reading()
        assert await slow.closed() == 1013
        await ada.send(type="ping")
        assert await ada.receive() == {"type": "pong"}


async def test_who_is_gone_without_a_word_is_found(serve: Serve) -> None:
    async with serve(websocket_ping_interval=1) as server:
        ada, manager = await server.join(), await server.manager()
        await stalled(server)
        assert len(manager.members("lobby")) == 2
        await until(lambda: len(manager.members("lobby")) == 1)
        await ada.send(type="ping")
        assert await ada.receive() == {"type": "pong"}


async def test_a_client_that_is_cut_off_takes_nobody_with_it(serve: Serve) -> None:
    async with serve() as server:
        ada, lost = await server.join(), [await server.join() for _ in range(5)]
        manager = await server.manager()
        for client in lost:
            client.connection.transport.abort()
            await ada.send(type="say", text="still here")
        assert await ada.receive_texts(5) == ["still here"] * 5
        await until(lambda: len(manager.members("lobby")) == 1)


async def test_nothing_is_left_behind(serve: Serve) -> None:
    before = asyncio.all_tasks()
    async with serve() as server:
        manager = await server.manager()
        for _ in range(3):
            clients = await asyncio.gather(*(server.join() for _ in range(10)))
            await clients[0].send(type="say", text="x")
            await asyncio.gather(*(client.connection.close() for client in clients))
        await until(lambda: manager._count == 0)
        assert manager._rooms == {}
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_the_server_says_that_it_restarts(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with serve() as server:
        clients = [await server.join() for _ in range(3)]
        server.stop()
        assert [await client.closed() for client in clients] == [1012] * 3
    assert not caplog.records


@pytest.mark.parametrize("bound", [{"websocket_outbox_messages": 3}, {"websocket_outbox_size": 6}])
async def test_the_outbox_is_bounded(settings: Settings, bound: dict[str, int]) -> None:
    """By messages, and by bytes, while the client takes nothing."""

    async def hang(_: str) -> None:
        await asyncio.sleep(60)

    websocket = AsyncMock(spec=WebSocket)
    websocket.send_text.side_effect = hang
    connection = Connection(websocket, settings.model_copy(update=bound))
    writing = asyncio.create_task(connection.write())
    connection.send(Outgoing.of("the one that is not taken"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(3):
        connection.send(Outgoing.of("ü"))
    assert connection.close_code is None
    connection.send(Outgoing.of("ü"))
    assert connection.close_code == 1013
    writing.cancel()


async def test_a_burst_closes_nobody_who_takes_it(serve: Serve) -> None:
    async with serve(websocket_outbox_messages=10) as server:
        clients, manager = [await server.join() for _ in range(3)], await server.manager()
        for number in range(300):
            said = Said(room="lobby", sender="", text=str(number))
            await manager.broadcast("lobby", said)
            assert max(len(each._outbox) for each in manager.members("lobby")) <= 2
        for client in clients:
            assert await client.receive_texts(300) == [str(number) for number in range(300)]
        # All at once: nobody's writer has had its turn yet.
        await asyncio.gather(*(manager.broadcast("lobby", said) for _ in range(300)))
        for client in clients:
            assert await client.receive_texts(300) == ["299"] * 300
