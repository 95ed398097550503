"""The database as one long-lived object."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import pytest

from app import wiring
from app.database import Database
from app.settings import Settings
from app.wiring import open_root_scope

T = TypeVar("T")
Open = Callable[[Settings], AbstractAsyncContextManager[T]]


async def test_it_closes_in_the_reverse_order_of_opening(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the other thing that the root scope opens, whichever comes first."""
    events: list[str] = []

    def watched(name: str, open_: Open[T]) -> Open[T]:
        @asynccontextmanager
        async def watched_open(settings: Settings) -> AsyncIterator[T]:
            async with open_(settings) as opened:
                events.append(name)
                yield opened
            events.append(name)

        return watched_open

    for name in ("open_database", "open_http_client"):
        monkeypatch.setattr(wiring, name, watched(name, getattr(wiring, name)))
    async with open_root_scope(settings) as root_scope:
        async with root_scope.new_scope() as one, root_scope.new_scope() as other:
            assert await one.resolve(Database) is await other.resolve(Database)
        assert sorted(events) == ["open_database", "open_http_client"]
    assert events[2:] == events[1::-1]
