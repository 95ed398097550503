"""Enqueueing jobs on a server that fails."""

import asyncio
from time import perf_counter
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from app.kit.development import valkey
from app.kit.errors import Unavailable
from app.kit.jobs.sender import JobSender, PrefixedWorker, connection_options, open_job_sender
from app.settings import Settings


def client_of(settings: Settings) -> PrefixedWorker:
    return PrefixedWorker(**connection_options(settings, 5))


async def send(sender: JobSender, name: str) -> None:
    await sender.send(uuid4().hex, name, {})


async def queued(settings: Settings) -> int:
    async with client_of(settings) as client:
        return await client.queue_size()


async def test_missing_server_is_an_error_at_once(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_job_sender(nowhere) as sender:
        started = perf_counter()
        for _ in range(100):
            with pytest.raises(Unavailable, match="queue does not answer"):
                await send(sender, "a")
        assert perf_counter() - started < 1


async def test_silent_server_costs_one_call_its_deadline(settings: Settings) -> None:
    """It takes connections, but answers nothing, as a frozen process does."""
    writers: list[asyncio.StreamWriter] = []

    async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(swallow, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    own = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
    async with open_job_sender(own) as sender:
        started = perf_counter()
        with pytest.raises(Unavailable):
            await send(sender, "a")
        assert perf_counter() - started < 6
        started = perf_counter()
        for _ in range(10):
            with pytest.raises(Unavailable):
                await send(sender, "a")
            await asyncio.sleep(0.2)
        assert perf_counter() - started < 2 + 3
    for writer in writers:
        writer.close()
    server.close()


async def test_job_sent_twice_is_one(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        for _ in range(2):
            await sender.send("the same", "a", {})
    assert await queued(settings) == 1


async def test_secret_of_the_url_may_be_percent_encoded(settings: Settings) -> None:
    with valkey.running() as url:
        async with Redis.from_url(url) as redis:
            await redis.config_set("requirepass", "p@ss/w%rd")
        guarded = url.replace("://", "://:p%40ss%2Fw%25rd@")
        own = settings.model_copy(update={"redis_url": guarded})
        async with open_job_sender(own) as sender:
            await send(sender, "a")
        assert await queued(own) == 1


async def test_lost_connection_is_opened_again(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        with valkey.running() as url:
            sender._settings = settings.model_copy(update={"redis_url": url})
            await send(sender, "a")
        sender._settings = settings  # stands for a server that comes back
        await send(sender, "b")
    assert await queued(settings) == 1


async def test_emptied_server_takes_jobs_again(settings: Settings) -> None:
    """A flush also deletes the server-side functions that enqueue jobs."""
    with valkey.running() as url:
        own = settings.model_copy(update={"redis_url": url})
        async with open_job_sender(own) as sender:
            await send(sender, "a")
            async with client_of(own) as client:
                await client.redis.flushall()
                await client.redis.function_flush()
            await send(sender, "b")
        assert await queued(own) == 1


async def test_hanging_connection_is_replaced(settings: Settings) -> None:
    """A firewall drops packets of a connection that it has forgotten."""
    swallowed: list[asyncio.StreamWriter] = []
    with valkey.running() as url:
        path = url.removeprefix("unix://")

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner, outer = await asyncio.open_unix_connection(path)
            connections.append((writer, outer))

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    if writer not in swallowed:
                        sink.write(data)

            await asyncio.gather(pump(reader, outer), pump(inner, writer), return_exceptions=True)
            for each in (writer, outer):
                each.close()

        connections: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        proxy = await asyncio.start_server(relay, "127.0.0.1")
        port = proxy.sockets[0].getsockname()[1]
        own = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
        async with open_job_sender(own) as sender:
            await send(sender, "a")
            swallowed += [writer for writer, _ in connections]
            await send(sender, "b")
        direct = settings.model_copy(update={"redis_url": url})
        assert await queued(direct) == 2
        for writer, outer in connections:
            writer.close()
            outer.close()
        proxy.close()
        await asyncio.sleep(0.1)


async def test_concurrent_jobs_are_all_sent(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        await asyncio.gather(*(send(sender, str(number)) for number in range(200)))
    assert await queued(settings) == 200


async def test_outage_is_logged_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_job_sender(nowhere) as sender:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await send(sender, "a")
    [record] = [each for each in caplog.records if each.name == "app.kit.jobs.sender"]
    assert "127.0.0.1:1" in record.getMessage()


async def test_closing_leaves_no_task(settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with open_job_sender(settings) as sender:
        await send(sender, "a")
    assert asyncio.all_tasks() == before
