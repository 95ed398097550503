"""Rooms over several workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from unittest.mock import AsyncMock

import pytest
from redis.asyncio import Redis

from app.overrides import Override
from app.settings import Settings
from app.websockets import backplane
from app.websockets.backplane import Backplane
from app.websockets.manager import ConnectionManager
from app.websockets.messages import Said
from app.wiring import open_root_scope
from tests.websockets.fixtures import Serve, until


@pytest.fixture(autouse=True)
def quick_resync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backplane, "_MAX_RESYNC_DELAY", 0.2)


Job = Callable[[], AbstractAsyncContextManager[ConnectionManager]]


@pytest.fixture
def job(settings: Settings, overrides: list[Override]) -> Job:
    """Open what a process without sockets has."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[ConnectionManager]:
        async with (
            open_root_scope(settings, overrides) as root_scope,
            root_scope.new_scope() as scope,
        ):
            yield await scope.resolve(ConnectionManager)

    return opened


async def hang(*_: object) -> None:
    await asyncio.sleep(60)


async def test_each_message_comes_once_and_in_order(serve: Serve) -> None:
    async with serve(websocket_burst=50) as one, serve() as other:
        clients = [await server.join() for server in (one, other, one, other)]
        for number in range(50):
            await clients[0].send(type="say", text=str(number))
        for client in clients:
            assert await client.receive_texts(50) == [str(number) for number in range(50)]


async def test_a_process_without_sockets_may_send(serve: Serve, job: Job) -> None:
    async with serve() as server:
        client = await server.join()
        async with job() as manager:
            for text in "ab":
                await manager.broadcast("lobby", Said(room="lobby", sender="job", text=text))
        assert await client.receive_texts(2) == ["a", "b"]


async def test_a_lost_link_comes_back_and_clients_resync(serve: Serve, settings: Settings) -> None:
    async with serve() as one, serve() as other, Redis.from_url(settings.redis_url) as redis:
        clients = [await one.join(), await other.join()]
        assert await redis.client_kill_filter(_type="pubsub") >= 2
        for client in clients:
            assert await client.receive() == {"type": "resync"}
        await clients[0].send(type="say", text="again")
        for client in clients:
            assert await client.receive_texts(1) == ["again"]


async def test_what_could_not_be_sent_is_made_known(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT", 0.1)
    async with serve() as one, serve() as other:
        clients = [await one.join(), await other.join()]
        monkeypatch.setattr(backplane, "_DEADLINE", 0.2)
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", hang)
            await clients[0].send(type="say", text="lost")
            assert await clients[0].receive_texts(1) == ["lost"]
            await asyncio.sleep(0.5)
        while (message := await clients[1].receive())["type"] != "resync":
            assert message["text"] != "lost"
    assert any("do not reach other workers" in message for message in caplog.messages)
    assert any("reach other workers again" in message for message in caplog.messages)


async def test_an_outage_is_logged_once(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backplane, "_DEADLINE", 0.1)
    monkeypatch.setattr(Redis, "publish", hang)
    said = Said(room="lobby", sender="job", text="lost")
    async with job() as manager:
        await asyncio.gather(*(manager.broadcast("lobby", said) for _ in range(20)))
    assert len([each for each in caplog.messages if "do not reach other workers" in each]) == 1


async def test_what_fails_while_a_loss_is_told_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT", 0.01)
    told, telling, go_on = 0, asyncio.Event(), asyncio.Event()

    async def publish(_: str, data: str) -> None:
        nonlocal told
        if "lost" in data:
            raise OSError
        if data == "[]":
            telling.set()
            await go_on.wait()
            told += 1

    own = Backplane(AsyncMock(spec=Redis, publish=publish), "channel")
    await own.publish("lobby", "lost")
    await telling.wait()
    await own.publish("lobby", "lost, too")
    go_on.set()
    await until(lambda: told == 2)
    await asyncio.sleep(0.1)
    assert told == 2, "and then no more"
    await own.close()


async def test_a_process_without_sockets_tries_again(
    serve: Serve, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT", 0.1)
    async with serve() as server, job() as manager:
        client = await server.join()
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", AsyncMock(side_effect=OSError))
            await manager.broadcast("lobby", Said(room="lobby", sender="job", text="lost"))
        assert await client.receive() == {"type": "resync"}
        await manager.broadcast("lobby", Said(room="lobby", sender="job", text="sent"))
        assert await client.receive_texts(1) == ["sent"]


async def test_silence_is_a_lost_link(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen server says nothing, and closes nothing."""
    monkeypatch.setattr(backplane, "_SILENCE", 0.3)
    monkeypatch.setattr(backplane, "_HEARTBEAT", 0.6)
    async with serve() as server:
        client = await server.join()
        assert await client.receive() == {"type": "resync"}


async def test_anything_else_on_the_channel_is_passed_over(
    serve: Serve, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as server, Redis.from_url(settings.redis_url) as redis:
        client = await server.join()
        channel = f"{settings.redis_prefix}:0:websockets"
        for data in (
            "garbage",
            "{}",
            "3",
            "[" * 100_000,
            json.dumps(["x", "y"]),
            json.dumps(["x", 1, 2, 3]),
        ):
            await redis.publish(channel, data)
        await redis.publish(channel, json.dumps(["x", "lobby", '{"text": "after"}']))
        assert await client.receive_texts(1) == ["after"]
    assert any("not a message of this service" in message for message in caplog.messages)


async def test_without_the_server_a_room_is_this_workers(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backplane, "_DEADLINE", 0.2)
    async with serve(redis_url="redis://127.0.0.1:1/0") as server:
        clients = [await server.join(), await server.join()]
        await clients[0].send(type="say", text="x")
        for client in clients:
            assert await client.receive_texts(1) == ["x"]


async def test_numbers_of_one_server_are_apart(serve: Serve, settings: Settings) -> None:
    url = settings.redis_url.rpartition("/")[0]
    async with serve() as one, serve(redis_url=f"{url}/1") as other:
        ada, grace = await one.join(), await other.join()
        await ada.send(type="say", text="here")
        assert await ada.receive_texts(1) == ["here"]
        await asyncio.sleep(0.2)  # it would have come
        await grace.send(type="say", text="there")
        assert await grace.receive_texts(1) == ["there"]


async def test_what_several_workers_lost_is_told_once(serve: Serve, settings: Settings) -> None:
    async with serve() as server, Redis.from_url(settings.redis_url) as redis:
        client = await server.join()
        for _ in range(3):
            await redis.publish(f"{settings.redis_prefix}:0:websockets", "[]")
        assert await client.receive() == {"type": "resync"}
        await asyncio.sleep(0.3)
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


async def test_a_broadcast_that_is_cancelled_is_told_of(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as one, serve() as other:
        client, manager = await one.join(), await other.manager()
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", hang)
            said = Said(room="lobby", sender="", text="lost")
            broadcast = asyncio.create_task(manager.broadcast("lobby", said))
            await asyncio.sleep(0.1)
            broadcast.cancel()
            await asyncio.wait([broadcast])
        assert await client.receive() == {"type": "resync"}


async def test_a_process_that_ends_tells_what_it_could_not_send(
    serve: Serve, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as server:
        client = await server.join()
        async with job() as manager:
            with monkeypatch.context() as patch:
                patch.setattr(Redis, "publish", AsyncMock(side_effect=OSError))
                await manager.broadcast("lobby", Said(room="lobby", sender="job", text="lost"))
        assert await client.receive() == {"type": "resync"}
