"""Stores responses by key, invalidates them by tag, and computes each of them once at a time."""

import asyncio
import itertools
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from app.kit.cache.responses import CompleteResponse, StoredResponse
from app.kit.cache.store import Store, StoreUnavailable, open_store
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

_ALL = "all"  # every response depends on this key
_CLOCK_SKEW_SECONDS = 0.5  # between the clocks of two processes
_WAIT_SECONDS = 5.0  # for another request's computation, then begin a second one
_LINGER_SECONDS = 0.5  # hand out a computed response to requests that looked before it was stored
_RETRY_SECONDS = 1.0  # between attempts to invalidate while the store is down
_VERSION_LIFETIME_SECONDS = 86_400.0  # older responses are computed again
_MAX_WAITS = 3  # for leaders that are cancelled or hang; then compute alone
_MAX_PENDING = 10_000

_Versions = tuple[str, ...]
_Flight = asyncio.Future[StoredResponse | None]


@dataclass(slots=True)
class Statistics:
    """Counts of this process. `waits` are for another request, `errors` those of the store."""

    hits: int = 0
    misses: int = 0
    waits: int = 0
    errors: int = 0


class Computation:
    """A response that the caller has to compute, and that other requests may wait for."""

    def __init__(
        self, cache: "ResponseCache", key: str, versions: _Versions, flight: _Flight | None
    ) -> None:
        self._cache = cache
        self._key = key
        self._versions = versions
        self._flight = flight

    async def finish(
        self, response: CompleteResponse, takes_headers: bool, expire: int, tags: Sequence[str]
    ) -> None:
        """Hand the response to waiting requests, then store it for `expire` seconds."""
        if self._flight is None:
            return
        stored = StoredResponse(response, takes_headers, time.time(), self._versions)
        is_stored = False
        try:
            self._hand_out(stored)
            is_stored = await self._cache.store(self._key, stored, expire, tags)
        finally:
            delay = _LINGER_SECONDS if is_stored else 0
            asyncio.get_running_loop().call_later(delay, self._unregister)

    def abandon(self, *, cancelled: bool) -> None:
        """Release waiting requests, each to compute by itself.

        If the caller was cancelled, one of them computes for all.
        """
        if self._flight is None or self._flight.done():
            return
        self._unregister()
        if cancelled:
            self._flight.cancel()
        else:
            self._flight.set_result(None)

    def _hand_out(self, stored: StoredResponse) -> None:
        # A request that waited too long may have begun a second computation: serve its waiters too.
        for flight in (self._flight, self._cache.flights.get((self._key, self._versions))):
            if flight is not None and not flight.done():
                flight.set_result(stored)

    def _unregister(self) -> None:
        if self._cache.flights.get((self._key, self._versions)) is self._flight:
            del self._cache.flights[self._key, self._versions]


class ResponseCache:
    """Responses in a store. While the store is down everything is computed, and nothing fails.

    A tag has a version: the process and the time of its last change, and a random part. A response
    is stored with the versions of its tags and is valid while they are unchanged. It is not stored
    if one of them is newer than the request, whose dependencies may have read the old state. So no
    worker ever serves after a change what was read before it, however late it is computed.

    While the store takes a change, all workers go on with the responses from before it: if one of
    them computed already, a client could see the new state there and then the old one elsewhere.
    """

    def __init__(self, store: Store, max_body_size: int) -> None:
        self.statistics = Statistics()
        self.flights: dict[tuple[str, _Versions], _Flight] = {}
        self._store = store
        self._max_body_size = max_body_size
        self._process = secrets.token_hex(4)
        self._pending: dict[str, int] = {}  # invalidations that the store has not taken in time
        self._changes = itertools.count()
        self._retrying: asyncio.Task[None] | None = None

    async def invalidate(self, *tags: str) -> None:
        """Invalidate every response with one of the tags, for all that share the store.

        If the store is down, this is retried until it succeeds, and meanwhile this process neither
        stores nor serves anything. If the process ends before, other workers serve what they have
        until it expires.
        """
        await self._change([f"tag:{tag}" for tag in tags])

    async def clear(self) -> None:
        """Invalidate every response."""
        await self._change([_ALL])

    async def look_up(
        self, key: str, tags: Sequence[str], expire: int, began_at: float
    ) -> StoredResponse | Computation:
        """Return the stored response, or a computation for the caller to finish or abandon."""
        for _ in range(_MAX_WAITS):
            stored, versions = await self._read(key, tags, expire)
            if stored is not None:
                self.statistics.hits += 1
                return stored
            if versions is None or any(self._is_newer(each, began_at) for each in versions):
                break
            flight = self.flights.get((key, versions))
            if flight is None:
                self.statistics.misses += 1
                return self._begin(key, versions)
            self.statistics.waits += 1
            # Unlike `await flight`, this neither cancels the flight nor raises its exception.
            await asyncio.wait([flight], timeout=_WAIT_SECONDS)
            if not flight.done():
                if self.flights.get((key, versions)) is flight:
                    self.statistics.misses += 1
                    return self._begin(key, versions)
            elif not flight.cancelled():
                if (stored := flight.result()) is not None:
                    return stored
                break
        self.statistics.misses += 1
        return Computation(self, key, (), None)

    async def store(
        self, key: str, stored: StoredResponse, expire: int, tags: Sequence[str]
    ) -> bool:
        """Store a response and return True; return False if its body is too large."""
        if len(stored.response.body) > self._max_body_size:
            return False
        # Slightly less, so that responses stored together do not expire together.
        seconds = expire * random.uniform(0.9, 1)  # noqa: S311 (not a secret)
        try:
            await self._store.write(key, stored.dump(key), seconds, _version_keys(tags))
        except StoreUnavailable:
            self.statistics.errors += 1
            return False
        return True

    async def close(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])
        if self._pending:
            with suppress(StoreUnavailable):
                await self._flush()

    def _begin(self, key: str, versions: _Versions) -> Computation:
        flight: _Flight = asyncio.get_running_loop().create_future()
        self.flights[key, versions] = flight
        return Computation(self, key, versions, flight)

    def _is_newer(self, version: str, began_at: float) -> bool:
        """Return whether the change may have happened after the request began."""
        try:
            process, changed_at, _ = version.split(" ")
            skew = 0 if process == self._process else _CLOCK_SKEW_SECONDS
            return float(changed_at) + skew >= began_at
        except ValueError:  # the store holds garbage
            return True

    async def _read(
        self, key: str, tags: Sequence[str], expire: int
    ) -> tuple[StoredResponse | None, _Versions | None]:
        """Return the stored response and the tags' versions, both None if the store is unusable."""
        if self._pending:
            return None, None
        version_keys = _version_keys(tags)
        try:
            value, *found = await self._store.read([key, *version_keys])
            if None in found:
                never = f"- 0 {secrets.token_hex(8)}".encode()
                found = list(await self._store.add(version_keys, never, 2 * expire))
            versions = tuple(version.decode() for version in found if version is not None)
            return self._load(key, value, versions), versions
        except (StoreUnavailable, UnicodeDecodeError):
            self.statistics.errors += 1
            return None, None

    def _load(self, key: str, value: bytes | None, versions: _Versions) -> StoredResponse | None:
        if value is None:
            return None
        try:
            stored = StoredResponse.load(key, value)
        except ValueError:
            self.statistics.errors += 1
            return None
        return stored if stored.versions == versions else None

    async def _change(self, keys: Sequence[str]) -> None:
        """Invalidate the keys. What the store has not confirmed is pending, and retried."""
        try:
            await self._flush(keys)
        except StoreUnavailable:
            self.statistics.errors += 1
            self._postpone(keys)
        except asyncio.CancelledError:
            self._postpone(keys)
            raise

    def _postpone(self, keys: Sequence[str]) -> None:
        self._pending.update(dict.fromkeys(keys, next(self._changes)))
        if len(self._pending) > _MAX_PENDING:
            self._pending = {_ALL: next(self._changes)}
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry())

    async def _flush(self, keys: Sequence[str] = ()) -> None:
        """Write invalidations, also the pending ones, to the store. Raise StoreUnavailable."""
        pending = dict(self._pending)
        version = f"{self._process} {time.time()} {secrets.token_hex(8)}".encode()
        changed = [*pending, *(key for key in keys if key not in pending)]
        await self._store.change(changed, version, _VERSION_LIFETIME_SECONDS)
        for key, change in pending.items():
            if self._pending.get(key) == change:  # unless it has failed again meanwhile
                del self._pending[key]

    async def _retry(self) -> None:
        while self._pending:
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311 (not a secret)
            with suppress(StoreUnavailable):
                await self._flush()


def _version_keys(tags: Sequence[str]) -> list[str]:
    return [_ALL, *(f"tag:{tag}" for tag in tags)]


@asynccontextmanager
async def open_response_cache(settings: KitSettings) -> AsyncIterator[ResponseCache]:
    """Open the cache on its store. Its statistics are logged on closing."""
    async with open_store(settings) as store:
        cache = ResponseCache(store, settings.cache_max_body_size)
        try:
            yield cache
        finally:
            await cache.close()
            logger.info("response cache", extra=asdict(cache.statistics))
