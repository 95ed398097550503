"""The engines live as long as the app."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import pytest
from sqlalchemy import bindparam, func, select

from app.application import open_root_scope
from app.kit import wiring
from app.kit.database import Database, Engines, open_engines
from app.kit.errors import InvalidText
from app.settings import Settings

T = TypeVar("T")
LENGTH = select(func.length(bindparam("a")))
Open = Callable[[Settings], AbstractAsyncContextManager[T]]


async def test_singletons_close_in_reverse_order_of_opening(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def watched(name: str, open_: Open[T]) -> Open[T]:
        @asynccontextmanager
        async def watched_open(settings: Settings) -> AsyncIterator[T]:
            async with open_(settings) as opened:
                events.append(name)
                yield opened
            events.append(name)

        return watched_open

    for name in ("open_engines", "open_http_client"):
        monkeypatch.setattr(wiring, name, watched(name, getattr(wiring, name)))
    async with open_root_scope(settings) as root_scope:
        async with root_scope.new_scope() as one, root_scope.new_scope() as other:
            assert await one.resolve(Engines) is await other.resolve(Engines)
        assert sorted(events) == ["open_engines", "open_http_client"]
    assert events[2:] == events[1::-1]


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
async def test_invalid_text_is_told_apart_from_other_faults(settings: Settings, value: str) -> None:
    async with open_engines(settings) as engines:
        with pytest.raises(InvalidText):
            await Database(engines).execute(LENGTH, {"a": value})
        with pytest.raises(InvalidText):
            async with Database(engines).transaction() as session:
                await session.execute(LENGTH, {"a": value})
