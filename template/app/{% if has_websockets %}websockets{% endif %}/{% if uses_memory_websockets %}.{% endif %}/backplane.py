"""What carries messages to other workers: nothing, there is one process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.settings import Settings


class Backplane:
    on_message: Callable[[str, str], None]
    on_loss: Callable[[], None]

    async def listen(self) -> None:
        """Return at once: nobody else sends."""

    async def publish(self, room: str, text: str) -> None:
        """Return at once: nobody else listens."""


@asynccontextmanager
async def open_backplane(_: Settings) -> AsyncIterator[Backplane]:
    yield Backplane()
