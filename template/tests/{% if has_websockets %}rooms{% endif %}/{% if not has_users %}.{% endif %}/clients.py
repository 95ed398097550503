"""Clients of rooms: anonymous."""

from collections.abc import Sequence

from app.kit.lifecycle import Override
from app.settings import Settings


async def new_token(_: Settings, __: Sequence[Override]) -> str | None:
    """Return a new client's token, if clients have one."""
    return None
