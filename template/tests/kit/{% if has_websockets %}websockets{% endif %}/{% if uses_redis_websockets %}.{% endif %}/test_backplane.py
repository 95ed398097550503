"""Rooms over several workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from unittest.mock import AsyncMock

import pytest
from redis.asyncio import Redis

from app.application import open_root_scope
from app.kit.errors import NotAllowed
from app.kit.lifecycle import Override, WorkScope
from app.kit.websockets import Hub, Member, backplane
from app.kit.websockets.backplane import Backplane
from app.settings import Settings
from tests.kit.websockets.fixtures import Serve, until
from tests.kit.websockets.talk import Said, TalkEndpoint


@pytest.fixture(autouse=True)
def quick_resync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backplane, "_MAX_RESYNC_DELAY_SECONDS", 0.2)


Job = Callable[[], AbstractAsyncContextManager[Hub]]


@pytest.fixture
def job(settings: Settings, overrides: list[Override]) -> Job:
    """Open the hub of a process without sockets."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Hub]:
        async with (
            open_root_scope(settings, overrides) as root_scope,
            root_scope.new_scope() as scope,
        ):
            yield await scope.resolve(Hub)

    return opened


async def hang(*_: object) -> None:
    await asyncio.sleep(60)


async def test_each_message_arrives_once_and_in_order(serve: Serve) -> None:
    async with serve(websocket_burst=50) as one, serve() as other:
        clients = [await server.join() for server in (one, other, one, other)]
        for number in range(50):
            await clients[0].send(type="say", text=str(number))
        for client in clients:
            assert await client.receive_texts(50) == [str(number) for number in range(50)]


async def test_process_without_sockets_sends(serve: Serve, job: Job) -> None:
    async with serve() as server:
        client = await server.join()
        async with job() as hub:
            for text in "ab":
                await hub.broadcast("lobby", Said(room="lobby", sender="job", text=text))
        assert await client.receive_texts(2) == ["a", "b"]


async def test_lost_link_recovers_and_clients_resync(serve: Serve, settings: Settings) -> None:
    async with serve() as one, serve() as other, Redis.from_url(settings.redis_url) as redis:
        clients = [await one.join(), await other.join()]
        assert await redis.client_kill_filter(_type="pubsub") >= 2
        for client in clients:
            assert await client.receive() == {"type": "resync"}
        await clients[0].send(type="say", text="again")
        for client in clients:
            assert await client.receive_texts(1) == ["again"]


async def test_clients_resync_after_messages_that_could_not_be_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT_SECONDS", 0.1)
    async with serve() as one, serve() as other:
        clients = [await one.join(), await other.join()]
        monkeypatch.setattr(backplane, "_DEADLINE_SECONDS", 0.2)
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", hang)
            await clients[0].send(type="say", text="lost")
            assert await clients[0].receive_texts(1) == ["lost"]
            await asyncio.sleep(0.5)
        while (message := await clients[1].receive())["type"] != "resync":
            assert message["text"] != "lost"
    assert any("cannot publish to other workers" in message for message in caplog.messages)
    assert any("publishing to other workers again" in message for message in caplog.messages)


async def test_outage_is_logged_once(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backplane, "_DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr(Redis, "publish", hang)
    said = Said(room="lobby", sender="job", text="lost")
    async with job() as hub:
        await asyncio.gather(*(hub.broadcast("lobby", said) for _ in range(20)))
    assert len([each for each in caplog.messages if "cannot publish to other workers" in each]) == 1


async def test_loss_during_an_announcement_is_announced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT_SECONDS", 0.01)
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
    await own.publish("message", "lobby", "lost")
    await telling.wait()
    await own.publish("message", "lobby", "lost as well")
    go_on.set()
    await until(lambda: told == 2)
    await asyncio.sleep(0.1)
    assert told == 2, "no further announcements"
    await own.close()


async def test_process_without_sockets_publishes_again_after_an_outage(
    serve: Serve, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backplane, "_HEARTBEAT_SECONDS", 0.1)
    async with serve() as server, job() as hub:
        client = await server.join()
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", AsyncMock(side_effect=OSError))
            await hub.broadcast("lobby", Said(room="lobby", sender="job", text="lost"))
        assert await client.receive() == {"type": "resync"}
        await hub.broadcast("lobby", Said(room="lobby", sender="job", text="sent"))
        assert await client.receive_texts(1) == ["sent"]


async def test_silence_counts_as_a_lost_link(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen server neither answers nor closes."""
    monkeypatch.setattr(backplane, "_SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(backplane, "_HEARTBEAT_SECONDS", 0.6)
    async with serve() as server:
        client = await server.join()
        assert await client.receive() == {"type": "resync"}


async def test_foreign_messages_on_the_channel_are_ignored(
    serve: Serve, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as server, Redis.from_url(settings.redis_url) as redis:
        client = await server.join()
        channel = f"{settings.key_prefix}:0:websockets"
        for data in (
            "garbage",
            "{}",
            "3",
            "[" * 100_000,
            json.dumps(["x", "y"]),
            json.dumps(["x", 1, 2, 3]),
            json.dumps(["x", "unknown", "lobby", "x"]),
        ):
            await redis.publish(channel, data)
        await redis.publish(channel, json.dumps(["x", "message", "lobby", '{"text": "after"}']))
        assert await client.receive_texts(1) == ["after"]
    assert any("unexpected message on channel" in message for message in caplog.messages)


async def test_room_works_within_a_worker_while_the_server_is_down(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backplane, "_DEADLINE_SECONDS", 0.2)
    async with serve(redis_url="redis://127.0.0.1:1/0") as server:
        clients = [await server.join(), await server.join()]
        await clients[0].send(type="say", text="x")
        for client in clients:
            assert await client.receive_texts(1) == ["x"]


async def test_numbered_keyspaces_of_one_server_are_separate(
    serve: Serve, settings: Settings
) -> None:
    url = settings.redis_url.rpartition("/")[0]
    async with serve() as one, serve(redis_url=f"{url}/1") as other:
        ada, grace = await one.join(), await other.join()
        await ada.send(type="say", text="here")
        assert await ada.receive_texts(1) == ["here"]
        await asyncio.sleep(0.2)  # enough for it to arrive
        await grace.send(type="say", text="there")
        assert await grace.receive_texts(1) == ["there"]


async def test_losses_of_several_workers_cause_one_resync(serve: Serve, settings: Settings) -> None:
    async with serve() as server, Redis.from_url(settings.redis_url) as redis:
        client = await server.join()
        for _ in range(3):
            await redis.publish(f"{settings.key_prefix}:0:websockets", "[]")
        assert await client.receive() == {"type": "resync"}
        await asyncio.sleep(0.3)
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


async def test_cancelled_broadcast_causes_a_resync(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as one, serve() as other:
        client, hub = await one.join(), await other.hub()
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "publish", hang)
            said = Said(room="lobby", sender="", text="lost")
            broadcast = asyncio.create_task(hub.broadcast("lobby", said))
            await asyncio.sleep(0.1)
            broadcast.cancel()
            await asyncio.wait([broadcast])
        assert await client.receive() == {"type": "resync"}


async def test_stopping_process_announces_lost_messages(
    serve: Serve, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as server:
        client = await server.join()
        async with job() as hub:
            with monkeypatch.context() as patch:
                patch.setattr(Redis, "publish", AsyncMock(side_effect=OSError))
                await hub.broadcast("lobby", Said(room="lobby", sender="job", text="lost"))
        assert await client.receive() == {"type": "resync"}


async def test_member_is_removed_at_once_on_another_worker(serve: Serve, job: Job) -> None:
    async with serve() as one, serve() as other, job() as hub:
        ada, grace = await one.join(token="ada"), await one.join(token="grace")
        await (await other.hub()).remove("lobby", "ada")
        assert await ada.closed() == 4403
        await hub.remove("lobby", "grace")
        assert await grace.closed() == 4403
        again = await one.join(token="ada")
        await (await other.hub()).disconnect("ada")
        assert await again.closed() == 4401


async def test_members_are_checked_again_after_a_loss(
    serve: Serve, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A removal may have been lost with the link."""
    refused: dict[str, Exception] = {}

    class Endpoint(TalkEndpoint):
        async def enter(self, scope: WorkScope, room: str, member: Member) -> None:
            if error := refused.get(member.name):
                raise error

    async with serve(endpoint=Endpoint()) as server, Redis.from_url(settings.redis_url) as redis:
        clients = {name: await server.join(token=name) for name in ("ada", "bob", "grace")}
        refused.update(ada=NotAllowed("Banned."), bob=RuntimeError("The directory is down."))
        await redis.client_kill_filter(_type="pubsub")
        assert await clients["ada"].closed() == 4403
        for name in ("bob", "grace"):
            assert await clients[name].receive() == {"type": "resync"}
            await clients[name].send(type="ping")
            assert await clients[name].receive() == {"type": "pong"}
    assert any("membership of bob not checked" in message for message in caplog.messages)
