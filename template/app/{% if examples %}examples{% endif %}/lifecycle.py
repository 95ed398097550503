"""Lifetimes: once per app (singleton), once per request (scoped), every time (transient)."""

from uuid import UUID

from fastapi import APIRouter

from app.examples.dependencies import OperationTokenDep, RequestTrackerDep
from app.wiring import SettingsDep

router = APIRouter()


@router.get("/lifecycle")
async def lifecycle(
    tracker_a: RequestTrackerDep,
    tracker_b: RequestTrackerDep,
    token_a: OperationTokenDep,
    token_b: OperationTokenDep,
    settings_a: SettingsDep,
    settings_b: SettingsDep,
) -> dict[str, bool]:
    return {
        "request_scoped_same_instance": tracker_a is tracker_b,
        "transient_same_instance": token_a is token_b,
        "singleton_same_instance": settings_a is settings_b,
    }


@router.get("/tracker")
async def tracker(tracker: RequestTrackerDep) -> dict[str, UUID]:
    """Return the id of the request's tracker."""
    return {"id": tracker.id}
