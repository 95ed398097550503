"""The store in Redis or Valkey, up and down."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from app.kit.cache.store import Store, StoreUnavailable, open_store
from app.settings import Settings


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    async with open_store(settings) as store:
        yield store


async def test_keys_outlive_those_that_depend_on_them(store: Store) -> None:
    assert await store.add(["tag"], b"1", 60) == [b"1"]
    assert await store.add(["tag", "new"], b"2", 60) == [b"1", b"2"]
    await store.write("key", b"value", 1_000_000, ["tag", "gone"])
    name = store._prefixed("tag")
    assert 1_999_000 < await store._redis.ttl(name) <= 2_000_000
    await store.write("key", b"value", 1, ["tag"])
    assert await store._redis.ttl(name) > 1_000_000
    assert await store.read(["key", "tag", "gone"]) == [b"value", b"1", None]


async def test_key_of_another_type_is_unavailable(store: Store) -> None:
    name = store._prefixed("list")
    await store._redis.lpush(name, "x")
    await store._redis.expire(name, 60)
    with pytest.raises(StoreUnavailable):
        await store.read(["list"])
    assert await store.read(["other"]) == [None]


@pytest.mark.parametrize("said", ["$abc", ":1", "*0", "*1", "nonsense", ",x"])
async def test_invalid_reply_is_an_outage(settings: Settings, said: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(f"{said}\r\n".encode() * 20)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    own = {"redis_url": f"redis://127.0.0.1:{port}/0", "cache_timeout": 0.25}
    liar = settings.model_copy(update=own)
    async with server, open_store(liar) as store:
        with pytest.raises(StoreUnavailable):
            await store.read(["a", "b"])


async def test_concurrent_reads_of_a_large_value_share_one_read(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(settings) as store:
        await store.write("large", b"x" * 1_000_000, 60, [])
        values = await asyncio.gather(*(store.read(["large"]) for _ in range(300)))
    assert {len(value or b"") for (value,) in values} == {1_000_000}
    assert not caplog.records


async def test_more_reads_than_connections_succeed(settings: Settings) -> None:
    few = settings.model_copy(update={"cache_max_connections": 2})
    async with open_store(few) as store:
        answers = await asyncio.gather(*(store.read([str(key)]) for key in range(3000)))
        assert answers == [[None]] * 3000
        one, other = asyncio.create_task(store.read(["a"])), asyncio.create_task(store.read(["a"]))
        await asyncio.sleep(0)
        one.cancel()
        assert await other == [None]


async def test_unreachable_server_is_logged_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lost = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_store(lost) as store:
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await store.read(["a"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_frozen_server_costs_one_deadline(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(Pipeline, "execute", hang)
    deadline = 0.25
    async with open_store(settings.model_copy(update={"cache_timeout": deadline})) as store:
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                await store.read(["a"])
    assert time.monotonic() - started < 10 * deadline
    assert "no answer in time" in caplog.text


async def test_server_is_used_again_after_an_outage(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", refuse)
        with pytest.raises(StoreUnavailable):
            await store.read(["a"])
    with pytest.raises(StoreUnavailable):
        await store.read(["a"])
    store._paused_until = 0
    monkeypatch.setattr("app.kit.outages._SETTLED_SECONDS", 0)
    assert await store.read(["a"]) == [None]
    logged = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert logged == ["cache unavailable", "cache available again"]


async def test_timeout_of_a_busy_process_is_not_an_outage(store: Store) -> None:
    assert await store.read(["a"]) == [None]
    timeout, store._timeout = store._timeout, 0.25
    reading = asyncio.create_task(store.read(["a"]))
    await asyncio.sleep(0.001)
    time.sleep(3 * store._timeout)  # noqa: ASYNC251 (blocks the event loop)
    with suppress(StoreUnavailable):
        await reading
    store._timeout = timeout
    assert await store.read(["a"]) == [None]


async def test_refused_command_is_not_an_outage(store: Store) -> None:
    name = store._prefixed("list")
    await store._redis.lpush(name, "x")
    await store._redis.expire(name, 60)
    answers = await asyncio.gather(
        store._send(("INCR", name)), store.read(["a"]), return_exceptions=True
    )
    assert isinstance(answers[0], StoreUnavailable)
    assert answers[1] == [None]
    assert await store.read(["a"]) == [None]


async def test_dead_links_are_replaced_at_once(store: Store) -> None:
    """One reset of idle links costs no outage, in which a change would be seen late."""
    await store.write("a", b"1", 60, [])
    await asyncio.gather(*(store.read([str(key)]) for key in range(2000)))
    await store._redis.client_kill_filter(_type="normal", skipme=False)
    await store.change(["a"], b"2", 60)
    assert await store.read(["a"]) == [b"2"]
    assert not store._failing


async def test_change_passes_the_breaker(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", refuse)
        with pytest.raises(StoreUnavailable):
            await store.read(["a"])
    with pytest.raises(StoreUnavailable):
        await store.read(["a"])
    await store.change(["a"], b"1", 60)
    assert await store.read(["a"]) == [b"1"]


async def test_server_that_refuses_writes_is_an_outage(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it holds may be outdated: a change could not be written."""
    await store.write("a", b"1", 60, [])
    execute = Pipeline.execute

    async def refuse_writes(pipeline: Pipeline, **options: object) -> list[object]:
        names = [command[0][0] for command in pipeline.command_stack]
        answers = await execute(pipeline, raise_on_error=False)
        return [
            ResponseError("OOM command not allowed") if name == "SET" else answer
            for name, answer in zip(names, answers, strict=True)
        ]

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", refuse_writes)
        patch.setattr("app.kit.cache.store._CHECK_SECONDS", 0)
        with pytest.raises(StoreUnavailable):
            await store.read(["a"])
    assert "OOM command not allowed" in caplog.text


async def test_full_server_forgets_what_has_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other workers would go on with the old version until they notice that it is full."""
    await store.write("a", b"1", 60, [])
    execute_command = Pipeline.execute_command

    def refuse_set(pipeline: Pipeline, *command: object) -> object:
        if command[0] == "SET":
            command = ("EVAL", "return redis.error_reply('OOM command not allowed')", 0)
        return execute_command(pipeline, *command)

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute_command", refuse_set)
        with pytest.raises(StoreUnavailable):
            await store.change(["a"], b"2", 60)
    assert await store._redis.get(store._prefixed("a")) is None
