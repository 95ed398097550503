"""Runs one attempt of a job, the same for every queue."""

import asyncio
import logging
from time import perf_counter
from typing import Any, NoReturn

from app.kit.errors import Unavailable
from app.kit.jobs.job import Job, Run
from app.kit.lifecycle import RootScope
from app.kit.logs import request_id_var

logger = logging.getLogger(__name__)

UNKNOWN_SECONDS = 3600.0
"""How long an unknown job waits for a worker that knows it."""
_MAX_UNKNOWN_DELAY_SECONDS = 10.0


class QueueLost(Exception):
    """The queue does not answer."""


class AttemptFailed(Exception):
    """An attempt failed and was logged.

    `retry_in` is the number of seconds until the next attempt, or None if this was the last.
    """

    def __init__(self, retry_in: float | None) -> None:
        self.retry_in = retry_in


async def attempt(
    root_scope: RootScope, job: Job[Any], job_id: str, number: int, arguments: dict[str, Any]
) -> None:
    """Run a job in a scope of its own and log its outcome in one line.

    Raise AttemptFailed if it fails or is cancelled.
    """
    token = request_id_var.set(f"job-{job_id}")  # stands in every line that the job logs
    extra: dict[str, Any] = {"job": job.name, "attempt": number}
    started = perf_counter()
    try:
        async with root_scope.new_scope() as scope:
            await job(Run(job_id, number, scope), arguments)
    except asyncio.CancelledError:
        retry_in = 0.0 if number < job.attempts else None
        logger.warning("job interrupted", extra=extra | {"retry_in": retry_in})
        raise AttemptFailed(retry_in) from None
    except Exception as error:
        retry_in = job.retry_delay(number)
        level = logging.ERROR if retry_in is None else logging.WARNING
        extra |= {"retry_in": retry_in}
        if isinstance(error, Unavailable) and retry_in is not None:  # an outage, which is logged
            logger.warning("job failed: %s", error, extra=extra)
        else:
            logger.log(level, "job failed", exc_info=True, extra=extra)
        raise AttemptFailed(retry_in) from error
    else:
        duration_ms = round((perf_counter() - started) * 1000, 1)
        logger.info("job done", extra=extra | {"duration_ms": duration_ms})
    finally:
        request_id_var.reset(token)


def wait_for_release(name: str, job_id: str, waited: float) -> NoReturn:
    """Raise AttemptFailed for a job that this release does not know, but perhaps another one does.

    `waited` is the number of seconds since a worker first met the job.
    """
    extra = {"job": name, "job_id": job_id}
    if waited >= UNKNOWN_SECONDS:
        logger.error("job given up: no worker knows it", extra=extra)
        raise AttemptFailed(None)
    if not waited:
        logger.warning("job unknown: it waits for a worker that knows it", extra=extra)
    raise AttemptFailed(min(max(waited, 1.0), _MAX_UNKNOWN_DELAY_SECONDS))
