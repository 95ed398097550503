"""Background work after the response."""

import logging
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from app.examples.background import work
from app.kit.lifecycle import RootScope


async def test_work_has_a_scope_of_its_own(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.examples")
    response = await client.post("/examples/background")
    assert response.status_code == 202
    [record] = [each for each in caplog.records if each.message == "work done"]
    assert record.__dict__["request"] == UUID(response.json()["request"])
    assert record.__dict__["own"] != record.__dict__["request"]


async def test_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception would skip the tasks after it."""
    await work(Mock(spec=RootScope, new_scope=Mock(side_effect=OSError)), uuid4())
    assert "work not done" in caplog.messages
