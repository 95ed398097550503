"""Working off the queue in tests."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from app.jobs.worker import work
from app.overrides import Override
from app.settings import Settings

WorkOff = Callable[[], Awaitable[None]]


async def work_until(work_off: WorkOff, reached: Callable[[], bool]) -> None:
    """Work off what is due, again and again: what has failed is due a little later."""
    async with asyncio.timeout(10):
        while not reached():
            await work_off()
            await asyncio.sleep(0.05)


@pytest.fixture
def work_off(settings: Settings, overrides: list[Override]) -> WorkOff:
    """Run the jobs that are due, as a worker does."""
    return partial(work, settings, overrides, until_empty=True)
