"""The worker: `python -m app worker`."""

import asyncio
import logging
from collections.abc import Sequence

from app.jobs import engine
from app.jobs.job import declared_jobs
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope

logger = logging.getLogger(__name__)

_MAX_DELAY = 5.0
"""Seconds between attempts to come back to a queue that is down."""


async def work(
    settings: Settings, overrides: Sequence[Override] = (), *, until_empty: bool = False
) -> None:
    """Run jobs until SIGTERM or SIGINT; those that run have `SHUTDOWN_TIMEOUT` to end, else they are run again.

    With `until_empty` return as soon as none is due, and raise what the queue raises; without it a queue that is
    lost is waited for.
    """
    jobs = declared_jobs()
    async with open_root_scope(settings, overrides) as root_scope:
        delay = 0.1
        while True:
            logger.info("waiting for jobs", extra={"jobs": sorted(jobs)})
            started = asyncio.get_running_loop().time()
            try:
                return await engine.run(settings, root_scope, jobs, until_empty=until_empty)
            except Exception as error:
                if until_empty:
                    raise
                logger.warning("the queue does not answer: %r", error)
            if asyncio.get_running_loop().time() - started > _MAX_DELAY:
                delay = 0.1
            await asyncio.sleep(delay)
            delay = min(delay * 2, _MAX_DELAY)
