"""The link to other workers: none, since there is one process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.kit.settings import KitSettings


class Backplane:
    on_event: Callable[[str, str, str], None]
    on_loss: Callable[[], None]

    async def listen(self) -> None:
        """Return at once: there are no other senders."""

    async def publish(self, kind: str, room: str, content: str) -> None:
        """Return at once: there are no other listeners."""


@asynccontextmanager
async def open_backplane(_: KitSettings) -> AsyncIterator[Backplane]:
    yield Backplane()
