"""The worker outlives its queue."""

import logging
from typing import Any

import pytest

from app.jobs import engine, worker
from app.overrides import Override
from app.settings import Settings


async def test_a_queue_that_is_lost_is_waited_for(
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: list[Exception | None] = [OSError("gone"), ConnectionError("still gone"), None]

    async def run(*_: Any, **__: Any) -> None:
        if error := outcomes.pop(0):
            raise error

    monkeypatch.setattr(engine, "run", run)
    await worker.work(settings, overrides)
    assert not outcomes
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert ["gone" in each.getMessage() for each in warnings if "queue" in each.msg] == [True, True]


async def test_a_worker_that_shall_end_says_that_it_is_lost(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(engine, "run", run)
    with pytest.raises(OSError, match="gone"):
        await worker.work(settings, overrides, until_empty=True)
