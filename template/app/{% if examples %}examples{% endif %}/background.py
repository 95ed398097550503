"""Background work after the response, in a scope of its own.

FastAPI's `BackgroundTasks` are not durable: a task is lost if the process is killed, or if it runs
longer than `SHUTDOWN_TIMEOUT` after SIGTERM. It is not retried, and an error skips later tasks.
"""

import logging
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks
from pydantic import BaseModel

from app.examples.dependencies import RequestTrackerDep
from app.examples.tracking import RequestTracker
from app.kit.lifecycle import RootScope, RootScopeDep

logger = logging.getLogger(__name__)
router = APIRouter()


class WorkStarted(BaseModel):
    request: UUID


@router.post("/background", status_code=202)
async def start(
    tracker: RequestTrackerDep, tasks: BackgroundTasks, root_scope: RootScopeDep
) -> WorkStarted:
    tasks.add_task(work, root_scope, tracker.id)
    return WorkStarted(request=tracker.id)


async def work(root_scope: RootScope, request: UUID) -> None:
    """Work with values: objects of the request are closed after the response."""
    try:
        async with root_scope.new_scope() as scope:
            tracker = await scope.resolve(RequestTracker)
            logger.info("work done", extra={"request": request, "own": tracker.id})
    except Exception:
        logger.exception("work not done", extra={"request": request})
