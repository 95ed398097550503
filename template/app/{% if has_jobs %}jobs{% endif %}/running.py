"""Runs one attempt at a job, the same under every queue."""

import logging
from time import perf_counter
from typing import Any

from app.jobs.job import Job, Run
from app.scopes import RootScope
from app.web.logs import request_id_var

logger = logging.getLogger(__name__)


class AttemptFailed(Exception):
    """It is logged already. `retry_in` are the seconds until the next attempt; None if this was the last."""

    def __init__(self, retry_in: float | None) -> None:
        self.retry_in = retry_in


async def attempt(
    root_scope: RootScope, job: Job[Any], job_id: str, number: int, arguments: dict[str, Any]
) -> None:
    """Run a job in a scope of its own; log one line of how it went. Raises AttemptFailed."""
    token = request_id_var.set(f"job-{job_id}")  # on each line that the job logs
    started = perf_counter()
    try:
        async with root_scope.new_scope() as scope:
            await job(Run(job_id, number, scope), arguments)
    except Exception as error:
        retry_in = job.retry_delay(number)
        level = logging.ERROR if retry_in is None else logging.WARNING
        extra = {"job": job.name, "attempt": number, "retry_in": retry_in}
        logger.log(level, "job failed", exc_info=True, extra=extra)
        raise AttemptFailed(retry_in) from error
    else:
        duration_ms = round((perf_counter() - started) * 1000, 1)
        extra = {"job": job.name, "attempt": number, "duration_ms": duration_ms}
        logger.info("job done", extra=extra)
    finally:
        request_id_var.reset(token)
