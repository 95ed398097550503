"""The job of the sample slice."""

import logging
from unittest.mock import AsyncMock

import pytest

from app.application import JOBS, open_root_scope
from app.kit.jobs.worker import work
from app.kit.lifecycle import Override, override
from app.settings import Settings
from app.upstream.client import UpstreamClient
from app.upstream.jobs import watch
from tests.kit.jobs.fixtures import Enqueue


async def test_watch_logs_the_status_of_the_other_service(
    settings: Settings,
    overrides: list[Override],
    enqueue: Enqueue,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    fake = AsyncMock(spec=UpstreamClient)
    fake.get_status.return_value = 418
    overrides.append(override(UpstreamClient, fake))
    await enqueue(watch)
    await work(settings, open_root_scope(settings, overrides), JOBS, until_empty=True)
    fake.get_status.assert_awaited_once()
    [record] = [each for each in caplog.records if each.message == "upstream answers"]
    assert record.__dict__["status"] == 418
