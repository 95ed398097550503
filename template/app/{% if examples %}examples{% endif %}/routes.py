"""The routes of all examples."""

from fastapi import APIRouter

from app.examples import lifecycle

router = APIRouter(prefix="/examples", tags=["examples"])
router.include_router(lifecycle.router)
