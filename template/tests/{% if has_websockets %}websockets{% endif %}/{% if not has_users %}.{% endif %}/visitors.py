"""Who connects in tests: anybody."""

from collections.abc import Sequence

from websockets.typing import Subprotocol

from app.overrides import Override
from app.settings import Settings


async def credentials(_: Settings, __: Sequence[Override]) -> list[Subprotocol] | None:
    """Return the subprotocols with which somebody new connects."""
    return None
