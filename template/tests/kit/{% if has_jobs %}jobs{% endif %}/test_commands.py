"""`python -m app worker`."""

from dataclasses import replace
from unittest.mock import AsyncMock, Mock

import pytest

from app.__main__ import SERVICE
from app.application import JOBS
from app.kit.commands import CommandLine
from app.kit.jobs import worker
from app.settings import Settings


def test_worker_runs_the_jobs_of_the_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "configure_logging", Mock())
    monkeypatch.setattr(worker, "work", work := AsyncMock())
    CommandLine(replace(SERVICE, read_settings=lambda: settings), []).run(["worker"])
    work.assert_awaited_once()
    assert work.await_args is not None
    assert work.await_args.args[0] is settings
    assert work.await_args.args[2] is JOBS
