"""Putting jobs into a server that comes and goes."""

import asyncio
from time import perf_counter

import pytest

from app.errors import Unavailable
from app.jobs.sender import create_worker, open_job_sender
from app.settings import Settings
from devservers import valkey


async def queued(settings: Settings) -> int:
    async with create_worker(settings, stream_timeout=5) as worker:
        return await worker.queue_size()


async def test_a_server_that_is_not_there_is_noticed_in_time(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_job_sender(nowhere) as sender:
        started = perf_counter()
        with pytest.raises(Unavailable, match="queue does not answer"):
            await sender.send("a", {})
        assert 1 < perf_counter() - started < 6


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
    async with open_job_sender(settings) as sender:
        await sender.send("a", {})
        async with create_worker(settings, stream_timeout=5) as worker:
            await worker.redis.function_flush()
        await sender.send("b", {})
    assert await queued(settings) == 2


async def test_many_at_once_share_a_connection(settings: Settings) -> None:
    async with open_job_sender(settings) as sender:
        await asyncio.gather(*(sender.send(str(number), {}) for number in range(200)))
    assert await queued(settings) == 200


async def test_nothing_is_left_behind(settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with open_job_sender(settings) as sender:
        await sender.send("a", {})
    assert asyncio.all_tasks() == before
