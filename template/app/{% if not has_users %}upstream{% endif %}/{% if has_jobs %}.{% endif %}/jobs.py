"""What is done in the background."""

import logging

from app.jobs import Run, job
from app.upstream.service import UpstreamService

logger = logging.getLogger(__name__)


@job(attempts=5, cron="*/5 * * * *")
async def watch(run: Run) -> None:
    """Look after the other service, every five minutes. Idempotent: to look twice does no harm."""
    upstream = await run.scope.resolve(UpstreamService)
    status = await upstream.check()
    logger.info("upstream answers", extra=status.model_dump())
