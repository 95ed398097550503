"""Logs the outage of a dependency once when it begins and once when it has ended."""

import logging
import time

_SETTLED_SECONDS = 5.0  # without a failure: a dependency that flaps has one long outage
_REPORT_SECONDS = 60.0


class Outage:
    """The state of one dependency, such as a server, as its callers see it."""

    def __init__(self, logger: logging.Logger, dependency: str) -> None:
        self._logger = logger
        self._dependency = dependency
        self._failures = 0
        self._began_at = self._failed_at = self._reported_at = 0.0

    def fail(self, error: BaseException) -> None:
        """Note a failure: log the first one, and each minute how many there were."""
        now = self._failed_at = time.monotonic()
        self._failures += 1
        if self._failures == 1:
            self._began_at = self._reported_at = now
            self._logger.warning("%s unavailable: %s", self._dependency, describe(error))
        elif now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            extra = {"failures": self._failures}
            self._logger.warning("%s still unavailable", self._dependency, extra=extra)

    def succeed(self) -> None:
        """Note a success: it ends an outage whose last failure was some seconds ago."""
        if not self._failures:
            return
        now = time.monotonic()
        if now - self._failed_at >= _SETTLED_SECONDS:
            extra = {"failures": self._failures, "seconds": round(now - self._began_at, 1)}
            self._logger.warning("%s available again", self._dependency, extra=extra)
            self._failures = 0


def describe(error: BaseException) -> str:
    """Return the reason in words, whichever library raised the error, on one line."""
    reasons: list[str] = []
    cause: BaseException | None = error
    while cause is not None and not reasons:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        if text := " ".join(str(cause).split()):
            reasons.append(f"{type(cause).__name__}: {text}")
        cause = cause.__cause__ or cause.__context__
    if reasons:
        return reasons[0][:300]
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
