"""Hands out connections first come, first served."""

import asyncio
from typing import Literal


class Gate(asyncio.Semaphore):
    """Admits as many callers at a time as there are connections.

    The pool's own queue lets newcomers overtake waiting callers. Measured with 32 callers on 10
    connections, that costs a third more CPU, and the last of a hundred waits several times longer.
    """

    def __init__(self, places: int, timeout: float) -> None:
        super().__init__(places)
        self._timeout = timeout

    async def acquire(self) -> Literal[True]:
        """Wait for a place. Raise TimeoutError if none is free in time."""
        if not self.locked():
            return await super().acquire()
        async with asyncio.timeout(self._timeout):
            return await super().acquire()
