"""Background jobs."""

import logging

from app.kit.jobs import Run, job
from app.upstream.service import UpstreamService

logger = logging.getLogger(__name__)


@job(attempts=5, cron="*/5 * * * *")
async def watch(run: Run) -> None:
    """Check the other service every five minutes."""
    upstream = await run.scope.resolve(UpstreamService)
    status = await upstream.check()
    logger.info("upstream answers", extra=status.model_dump())
