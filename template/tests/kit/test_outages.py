"""What is logged while a dependency fails."""

import logging

import pytest

from app.kit.outages import Outage, describe

logger = logging.getLogger(__name__)


def test_outage_is_logged_once_at_each_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("app.kit.outages.time.monotonic", lambda: now)
    outage = Outage(logger, "store")
    outage.succeed()
    for _ in range(100):
        outage.fail(ConnectionRefusedError(111, "Connection refused"))
        now += 1
        outage.succeed()  # it flaps
    assert caplog.messages[0].startswith("store unavailable: ConnectionRefusedError")
    assert caplog.messages[1:] == ["store still unavailable"]
    now += 10
    outage.succeed()
    outage.succeed()
    assert caplog.messages[2:] == ["store available again"]
    assert caplog.records[-1].__dict__["failures"] == 100
    outage.fail(TimeoutError())
    assert caplog.messages[3:] == ["store unavailable: no answer in time"]


def test_reason_is_found_in_the_cause() -> None:
    error = ConnectionError()
    error.__cause__ = OSError("no route to host")
    assert describe(error) == "OSError: no route to host"
    group = ExceptionGroup("several", [ValueError("the reason")])
    assert describe(group) == "ValueError: the reason"
    assert describe(KeyError()) == "KeyError"
    assert describe(ValueError("two\nlines " + "x" * 1000)).startswith("ValueError: two lines xx")
    assert len(describe(ValueError("x" * 1000))) == 300
