"""Background work: after the response, in a scope of its own.

FastAPI's `BackgroundTasks` promises little. What is waiting is lost if the process is killed, or is still busy
`SHUTDOWN_TIMEOUT` seconds after SIGTERM; nothing is tried twice; and a task that raises takes those after it along.
"""

import logging
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks
from pydantic import BaseModel

from app.examples.dependencies import RequestTrackerDep
from app.examples.tracking import RequestTracker
from app.scopes import RootScope, RootScopeDep

logger = logging.getLogger(__name__)
router = APIRouter()


class Begun(BaseModel):
    request: UUID


@router.post("/background", status_code=202)
async def begin(
    tracker: RequestTrackerDep, tasks: BackgroundTasks, root_scope: RootScopeDep
) -> Begun:
    tasks.add_task(work, root_scope, tracker.id)
    return Begun(request=tracker.id)


async def work(root_scope: RootScope, request: UUID) -> None:
    """Takes values, not the request's objects: those would be held for as long as the work takes."""
    try:
        async with root_scope.new_scope() as scope:
            tracker = await scope.resolve(RequestTracker)
            logger.info("work done", extra={"request": request, "own": tracker.id})
    except Exception:
        logger.exception("work not done", extra={"request": request})
