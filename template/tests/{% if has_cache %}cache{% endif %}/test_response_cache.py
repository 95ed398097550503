"""What is kept, and what happens while the store is down."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from app.cache import response_cache
from app.cache.response_cache import Computation, ResponseCache
from app.cache.responses import CompleteResponse
from app.cache.store import Store, StoreUnavailable, open_store
from app.settings import Settings

RESPONSE = CompleteResponse(200, (), b"body")


class Failing:
    """A store that does not answer while it is down."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False

    def check(self) -> None:
        if self.down:
            raise StoreUnavailable

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self.check()
        return await self.store.read(keys)

    async def add(self, keys: Sequence[str], value: bytes) -> list[bytes]:
        self.check()
        return await self.store.add(keys, value)

    async def write(self, key: str, value: bytes, expire: float, keys: Sequence[str]) -> None:
        self.check()
        await self.store.write(key, value, expire, keys)

    async def delete(self, keys: Sequence[str]) -> None:
        self.check()
        await self.store.delete(keys)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Failing]:
    async with open_store(settings) as store:
        yield Failing(store)


@pytest.fixture
async def cache(store: Failing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ResponseCache]:
    monkeypatch.setattr(response_cache, "_LINGER", 0)
    monkeypatch.setattr(response_cache, "_RETRY", 0.02)
    cache = ResponseCache(store, max_body_size=100)  # type: ignore[arg-type]
    yield cache
    await cache.close()


async def compute(cache: ResponseCache, response: CompleteResponse = RESPONSE) -> None:
    computation = await cache.look_up("key", ["tag"])
    assert isinstance(computation, Computation)
    await computation.finish(response, 60, ["tag"])
    await asyncio.sleep(0.001)
    assert not cache.flights


async def found(cache: ResponseCache) -> bool:
    answer = await cache.look_up("key", ["tag"])
    if isinstance(answer, Computation):
        answer.abandon(cancelled=False)
        return False
    assert answer.response == RESPONSE
    return True


async def test_it_is_found_until_it_is_invalidated(cache: ResponseCache) -> None:
    await compute(cache)
    assert await found(cache)
    await cache.invalidate("tag")
    assert not await found(cache)


async def test_too_large_a_body_is_not_stored(cache: ResponseCache) -> None:
    await compute(cache, CompleteResponse(200, (), b"x" * 101))
    assert not await found(cache)


async def test_garbage_is_a_miss(cache: ResponseCache, store: Failing) -> None:
    await compute(cache)
    await store.write("key", b"garbage", 60, [])
    assert not await found(cache)
    assert cache.statistics.errors == 1
    await compute(cache)
    assert await found(cache)


async def test_without_its_store_everything_is_computed(
    cache: ResponseCache, store: Failing
) -> None:
    await compute(cache)
    store.down = True
    assert not await found(cache)
    await compute(cache)
    store.down = False
    computation = await cache.look_up("other", [])
    assert isinstance(computation, Computation)
    store.down = True
    await computation.finish(RESPONSE, 60, [])
    assert cache.statistics.errors == 3


async def test_an_invalidation_is_made_up_for(cache: ResponseCache, store: Failing) -> None:
    """Until then nothing is served that it was about."""
    await compute(cache)
    store.down = True
    await cache.invalidate("tag")
    await cache.invalidate("other")
    await asyncio.sleep(0.05)
    store.down = False
    assert not await found(cache)
    async with asyncio.timeout(3):
        while not await found(cache):
            await asyncio.sleep(0.01)
            if not cache._owed:
                await compute(cache)


async def test_what_is_owed_is_bounded(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_cache, "_MAX_OWED", 3)
    await compute(cache)
    store.down = True
    await cache.invalidate("a", "b", "c", "d")
    assert cache._owed == {"*"}
    store.down = False
    await cache.invalidate("e")
    assert not await found(cache)


async def test_nobody_waits_for_ever(cache: ResponseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_cache, "_PATIENCE", 0.01)
    leader = await cache.look_up("key", [])
    assert isinstance(await cache.look_up("key", []), Computation)
    assert isinstance(leader, Computation)
    leader.abandon(cancelled=False)
