"""A page for the people who run the service, outside of its API."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)


@router.get("/status")
async def get_status() -> str:
    return "up"
