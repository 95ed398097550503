"""Storing and invalidating, also while the store is down."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from app.kit.cache import ResponseCache, response_cache
from app.kit.cache.response_cache import Computation
from app.kit.cache.responses import CompleteResponse, StoredResponse
from app.kit.cache.store import Store, StoreUnavailable, open_store
from app.settings import Settings

RESPONSE = CompleteResponse(200, (), b"body")


class Failing:
    """A store that can be down."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False

    def check(self) -> None:
        if self.down:
            raise StoreUnavailable

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self.check()
        return await self.store.read(keys)

    async def add(self, keys: Sequence[str], value: bytes, expire: float) -> list[bytes]:
        self.check()
        return await self.store.add(keys, value, expire)

    async def write(self, key: str, value: bytes, expire: float, keys: Sequence[str]) -> None:
        self.check()
        await self.store.write(key, value, expire, keys)

    async def change(self, keys: Sequence[str], value: bytes, expire: float) -> None:
        self.check()
        await self.store.change(keys, value, expire)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Failing]:
    async with open_store(settings) as store:
        yield Failing(store)


@pytest.fixture
async def cache(store: Failing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ResponseCache]:
    monkeypatch.setattr(response_cache, "_LINGER_SECONDS", 0)
    monkeypatch.setattr(response_cache, "_RETRY_SECONDS", 0.02)
    cache = ResponseCache(cast("Store", store), max_body_size=100)
    yield cache
    await cache.close()


async def look_up(
    cache: ResponseCache, key: str = "key", tags: Sequence[str] = ("tag",)
) -> StoredResponse | Computation:
    """Look up as a request that begins now."""
    await asyncio.sleep(0.001)
    return await cache.look_up(key, tags, 60, time.time())


async def compute(cache: ResponseCache, response: CompleteResponse = RESPONSE) -> None:
    computation = await look_up(cache)
    assert isinstance(computation, Computation)
    await computation.finish(response, True, 60, ["tag"])
    await asyncio.sleep(0.001)
    assert not cache.flights


async def found(cache: ResponseCache) -> bool:
    answer = await look_up(cache)
    if isinstance(answer, Computation):
        answer.abandon(cancelled=False)
        return False
    assert answer.response == RESPONSE
    return True


async def test_response_is_found_until_it_is_invalidated(cache: ResponseCache) -> None:
    await compute(cache)
    assert await found(cache)
    await cache.invalidate("tag")
    assert not await found(cache)


async def test_responses_stored_together_do_not_expire_together(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor later than asked."""
    lifetimes: set[float] = set()

    async def write(key: str, value: bytes, expire: float, keys: Sequence[str]) -> None:
        lifetimes.add(expire)

    monkeypatch.setattr(store, "write", write)
    for _ in range(20):
        await compute(cache)
    assert len(lifetimes) > 1
    assert 54 <= min(lifetimes) <= max(lifetimes) <= 60


async def test_large_body_is_not_stored(cache: ResponseCache) -> None:
    await compute(cache, CompleteResponse(200, (), b"x" * 101))
    assert not await found(cache)


async def test_garbage_is_a_miss(cache: ResponseCache, store: Failing) -> None:
    await compute(cache)
    await store.write("key", b"garbage", 60, [])
    assert not await found(cache)
    assert cache.statistics.errors == 1
    await compute(cache)
    assert await found(cache)
    for version in (b"garbage", b"a b c", b"\xff"):
        await store.write("tag:tag", version, 60, [])
        assert not await found(cache)


async def test_everything_is_computed_while_the_store_is_down(
    cache: ResponseCache, store: Failing
) -> None:
    await compute(cache)
    store.down = True
    assert not await found(cache)
    await compute(cache)
    store.down = False
    computation = await look_up(cache, "other")
    assert isinstance(computation, Computation)
    store.down = True
    await computation.finish(RESPONSE, True, 60, [])
    assert cache.statistics.errors == 3


async def test_failed_invalidation_is_retried(cache: ResponseCache, store: Failing) -> None:
    """No response is served until it has succeeded."""
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
            if not cache._pending:
                await compute(cache)


async def test_closing_tries_once_more_to_invalidate(cache: ResponseCache, store: Failing) -> None:
    await compute(cache)
    store.down = True
    await cache.invalidate("tag")
    store.down = False
    await cache.close()
    assert not cache._pending
    assert not await found(cache)


async def test_pending_invalidations_are_bounded(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_cache, "_MAX_PENDING", 3)
    await compute(cache)
    store.down = True
    await cache.invalidate("a", "b", "c", "d")
    assert list(cache._pending) == ["all"]
    store.down = False
    await cache.invalidate("e")
    assert not await found(cache)


async def test_wait_times_out_and_the_first_computation_serves_all(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_cache, "_WAIT_SECONDS", 0.01)
    leader = await look_up(cache)
    other = await look_up(cache)
    assert isinstance(leader, Computation)
    assert isinstance(other, Computation)
    monkeypatch.setattr(response_cache, "_WAIT_SECONDS", 5)
    waiting = [asyncio.create_task(look_up(cache)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await leader.finish(RESPONSE, True, 60, ["tag"])
    for each in waiting:
        answer = await each
        assert isinstance(answer, StoredResponse)
        assert answer.response == RESPONSE
    other.abandon(cancelled=False)
    await asyncio.sleep(0.01)
    assert await found(cache)


async def test_clock_skew_of_another_process_is_allowed_for(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment after a change nothing is stored."""
    await ResponseCache(cast("Store", store), 100).invalidate("tag")
    await compute(cache)
    assert not await found(cache)
    monkeypatch.setattr(response_cache, "_CLOCK_SKEW_SECONDS", 0)
    await compute(cache)
    assert await found(cache)


async def test_failed_invalidation_survives_a_successful_one(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one succeeds while the second one, of the same tag, fails."""
    await compute(cache)
    writing, go_on = asyncio.Event(), asyncio.Event()
    change = store.change

    async def slow(*arguments: Any) -> None:
        writing.set()
        await go_on.wait()
        await change(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, "change", slow)
        first = asyncio.create_task(cache.invalidate("tag"))
        await writing.wait()
    store.down = True
    await cache.invalidate("tag")
    store.down = False
    go_on.set()
    await first
    assert "tag:tag" in cache._pending


async def test_change_in_flight_is_seen_by_all_workers_at_once(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that computed before the others would let a client's reads go back in time."""
    other = ResponseCache(cast("Store", store), 100)
    await compute(cache)
    writing, go_on = asyncio.Event(), asyncio.Event()
    change = store.change

    async def slow(*arguments: Any) -> None:
        writing.set()
        await go_on.wait()
        await change(*arguments)

    monkeypatch.setattr(store, "change", slow)
    invalidating = asyncio.create_task(cache.invalidate("tag"))
    await writing.wait()
    assert await found(cache)
    assert await found(other)
    go_on.set()
    await invalidating
    assert not await found(cache)
    assert not await found(other)


async def test_cancelled_invalidation_is_retried(
    cache: ResponseCache, store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await compute(cache)
    writing = asyncio.Event()

    async def hang(*_: Any) -> None:
        writing.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(store, "change", hang)
        invalidating = asyncio.create_task(cache.invalidate("tag"))
        await writing.wait()
        invalidating.cancel()
        await asyncio.wait([invalidating])
    assert not await found(cache)
    assert cache._retrying is not None
    await asyncio.wait_for(cache._retrying, 3)
    assert not await found(cache)
    await compute(cache)
    assert await found(cache)


async def test_clear_invalidates_everything(cache: ResponseCache) -> None:
    await compute(cache)
    await cache.invalidate()
    await cache.invalidate("*", "all")
    assert await found(cache)
    await cache.clear()
    assert not await found(cache)
