"""Layers: settings, engines, database, repository, service, route; the middle is `directory.py`."""

from uuid import UUID

from fastapi import APIRouter

from app.auth.current_user import CurrentUserDep
from app.examples.dependencies import DirectoryServiceDep
from app.examples.directory import Entry
from app.kit.errors import NotFound, raises

router = APIRouter()


@router.get("/users/{user_id}")
@raises(NotFound)
async def read_entry(
    user_id: UUID, reader: CurrentUserDep, directory: DirectoryServiceDep
) -> Entry:
    """Oneself or, for an admin, anyone."""
    return await directory.get(user_id, seen_by=reader)
