"""Putting jobs into a server that comes and goes."""

import asyncio
from time import perf_counter

import pytest
from streaq import Worker

from app.errors import Unavailable
from app.jobs.sender import connection_options, open_job_sender
from app.settings import Settings
from devservers import valkey


def client_of(settings: Settings) -> Worker[None]:
    return Worker(**connection_options(settings, 5))


async def queued(settings: Settings) -> int:
    async with client_of(settings) as client:
        return await client.queue_size()


async def test_a_server_that_is_not_there_is_noticed_in_time(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_job_sender(nowhere) as sender:
        started = perf_counter()
        with pytest.raises(Unavailable, match="queue does not answer"):
            await sender.send("a", {})
        assert 1 < perf_counter() - started < 6
        started = perf_counter()
        for _ in range(100):  # who has many jobs does not wait for each
            with pytest.raises(Unavailable):
                await sender.send("a", {})
        assert perf_counter() - started < 1


async def test_one_that_is_lost_is_found_again(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        with valkey.running() as url:
            sender._settings = settings.model_copy(update={"redis_url": url})
            await sender.send("a", {})
        sender._settings = settings  # the same address, for all that the sender knows
        await sender.send("b", {})
    assert await queued(settings) == 1


async def test_one_that_was_emptied_takes_jobs_again(settings: Settings) -> None:
    """With its data it forgets the functions by which jobs are put there."""
    with valkey.running() as url:
        own = settings.model_copy(update={"redis_url": url})
        async with open_job_sender(own) as sender:
            await sender.send("a", {})
            async with client_of(own) as client:
                await client.redis.flushall()
                await client.redis.function_flush()
            await sender.send("b", {})
        assert await queued(own) == 1


async def test_a_connection_that_hangs_is_left_for_another(settings: Settings) -> None:
    """A firewall that forgets a connection says nothing."""
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
            await sender.send("a", {})
            swallowed += [writer for writer, _ in connections]
            await sender.send("b", {})
        direct = settings.model_copy(update={"redis_url": url})
        assert await queued(direct) == 2
        for writer, outer in connections:
            writer.close()
            outer.close()
        proxy.close()
        await asyncio.sleep(0.1)


async def test_many_at_once_are_all_sent(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        await asyncio.gather(*(sender.send(str(number), {}) for number in range(200)))
    assert await queued(settings) == 200


async def test_why_is_logged_once_for_an_outage(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_job_sender(nowhere) as sender:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await sender.send("a", {})
    [record] = [each for each in caplog.records if each.name == "app.jobs.sender"]
    assert "127.0.0.1:1" in record.getMessage()


async def test_nothing_is_left_behind(settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with open_job_sender(settings) as sender:
        await sender.send("a", {})
    assert asyncio.all_tasks() == before
