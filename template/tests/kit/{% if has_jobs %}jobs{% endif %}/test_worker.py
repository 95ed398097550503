"""The worker and a queue that fails."""

import asyncio
from typing import Any

import pytest

from app.application import open_root_scope
from app.kit.jobs import consumer, worker
from app.kit.jobs.running import QueueLost
from app.kit.lifecycle import Override
from app.settings import Settings


async def test_worker_waits_for_a_lost_queue(
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
    await worker.work(settings, open_root_scope(settings, overrides), {})
    logged = [each for each in caplog.messages if "queue" in each]
    assert logged == ["queue unavailable: QueueLost: gone"]  # said once


async def test_other_errors_end_the_worker(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault in the code")

    monkeypatch.setattr(consumer, "run", run)
    with pytest.raises(RuntimeError, match="a fault"):
        await worker.work(settings, open_root_scope(settings, overrides), {})


async def test_worker_stops_although_the_queue_hangs(
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
    monkeypatch.setattr(worker, "_EXTRA_SECONDS", 0.2)
    hasty = settings.model_copy(update={"shutdown_timeout": 0})
    async with asyncio.timeout(10):
        await worker.work(hasty, open_root_scope(hasty, overrides), {})
    assert "did not end in time" in caplog.text


async def test_worker_until_empty_raises_when_the_queue_is_lost(
    settings: Settings, overrides: list[Override], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> None:
        raise QueueLost("gone")

    monkeypatch.setattr(consumer, "run", run)
    with pytest.raises(QueueLost, match="gone"):
        await worker.work(settings, open_root_scope(settings, overrides), {}, until_empty=True)
