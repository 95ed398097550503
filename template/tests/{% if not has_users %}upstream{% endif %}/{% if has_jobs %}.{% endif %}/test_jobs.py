"""The sample slice in the background."""

import logging
from unittest.mock import AsyncMock

import pytest
from httpx2 import AsyncClient

from app.jobs.worker import work
from app.overrides import Override, override
from app.settings import Settings
from app.upstream.client import UpstreamClient


async def test_it_is_looked_after_in_the_background(
    client: AsyncClient,
    settings: Settings,
    overrides: list[Override],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    fake = AsyncMock(spec=UpstreamClient)
    fake.status.return_value = 418
    assert (await client.post("/upstream/checks")).status_code == 202
    fake.status.assert_not_awaited()
    await work(settings, [*overrides, override(UpstreamClient, fake)], until_empty=True)
    fake.status.assert_awaited_once()
    [record] = [each for each in caplog.records if each.message == "upstream answers"]
    assert record.__dict__["status"] == 418
