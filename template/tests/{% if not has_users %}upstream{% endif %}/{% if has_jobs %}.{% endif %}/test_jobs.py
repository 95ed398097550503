"""The sample slice in the background."""

import logging
from unittest.mock import AsyncMock

import pytest

from app.jobs import JobQueue
from app.jobs.worker import work
from app.overrides import Override, override
from app.settings import Settings
from app.upstream.client import UpstreamClient
from app.upstream.jobs import watch
from app.wiring import open_root_scope


async def test_it_is_looked_after_in_the_background(
    settings: Settings,
    overrides: list[Override],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    fake = AsyncMock(spec=UpstreamClient)
    fake.status.return_value = 418
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        await (await scope.resolve(JobQueue)).enqueue(watch)
    await work(settings, [*overrides, override(UpstreamClient, fake)], until_empty=True)
    fake.status.assert_awaited_once()
    [record] = [each for each in caplog.records if each.message == "upstream answers"]
    assert record.__dict__["status"] == 418
