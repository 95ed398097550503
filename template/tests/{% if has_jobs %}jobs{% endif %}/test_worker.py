"""The worker outlives its queue."""

import asyncio
from typing import Any

import pytest

from app.jobs import consumer, worker
from app.jobs.running import QueueLost
from app.overrides import Override
from app.settings import Settings


async def test_a_queue_that_is_lost_is_waited_for(
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = ["gone", "still gone"]

    async def run(*given: Any, **_: Any) -> None:
        stopping = given[3]
        if lost:
            raise QueueLost(lost.pop(0))
        stopping.set()

    monkeypatch.setattr(consumer, "run", run)
    await worker.work(settings, overrides)
    said = [record.getMessage() for record in caplog.records]
    assert "the queue does not answer: gone" in said
    assert "the queue does not answer: still gone" in said


async def test_what_is_no_loss_ends_it(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault in the code")

    monkeypatch.setattr(consumer, "run", run)
    with pytest.raises(RuntimeError, match="a fault"):
        await worker.work(settings, overrides)


async def test_it_does_not_wait_for_ever_for_a_queue_that_hangs(
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(*given: Any, **_: Any) -> None:
        stopping = given[3]
        stopping.set()
        await asyncio.sleep(100)

    monkeypatch.setattr(consumer, "run", run)
    monkeypatch.setattr(worker, "_PATIENCE", 0.2)
    hasty = settings.model_copy(update={"shutdown_timeout": 0})
    async with asyncio.timeout(10):
        await worker.work(hasty, overrides)
    assert "did not end in time" in caplog.text


async def test_a_worker_that_shall_end_says_that_it_is_lost(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> None:
        raise QueueLost("gone")

    monkeypatch.setattr(consumer, "run", run)
    with pytest.raises(QueueLost, match="gone"):
        await worker.work(settings, overrides, until_empty=True)
