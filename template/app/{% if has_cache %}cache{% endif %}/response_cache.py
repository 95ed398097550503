"""What is kept: responses by key, invalidated by tag, computed once at a time."""

import asyncio
import itertools
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from app.cache.responses import CompleteResponse, StoredResponse
from app.cache.store import Store, StoreUnavailable, open_store
from app.settings import Settings

logger = logging.getLogger(__name__)

_ALL = "all"
"""The key that every response depends on."""
_CLOCKS = 0.5
"""Seconds by which the clocks of two processes may differ."""
_PATIENCE = 5.0
"""Seconds to wait for somebody else's computation, then one who waits begins another."""
_LINGER = 0.5
"""Seconds that a computed response is handed to whoever looked for it before it was stored."""
_RETRY = 1.0
"""Seconds between attempts to invalidate while the store does not answer."""
_VERSION_LIFETIME = 86_400.0
"""Seconds that an invalidation is remembered; older responses are computed anew."""
_TRIES = 3
"""How often a request may come to wait, after leaders that were cancelled or hang; then it computes alone."""
_MAX_OWED = 10_000

_Versions = tuple[str, ...]
_Flight = asyncio.Future[StoredResponse | None]


@dataclass(slots=True)
class Statistics:
    """Counts of this process: found, computed, waited for somebody else's, the store failed or held garbage."""

    hits: int = 0
    misses: int = 0
    waits: int = 0
    errors: int = 0


class Computation:
    """A response that the caller has to compute; others may wait for it."""

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
        """Hand the response to those who wait, then store it for `expire` seconds."""
        if self._flight is None:
            return
        stored = StoredResponse(response, takes_headers, time.time(), self._versions)
        kept = False
        try:
            self._settle(stored)
            kept = await self._cache.keep(self._key, stored, expire, tags)
        finally:
            asyncio.get_running_loop().call_later(_LINGER if kept else 0, self._leave)

    def abandon(self, *, cancelled: bool) -> None:
        """Let those who wait compute by themselves or, if the caller was cancelled, one of them for all."""
        if self._flight is None or self._flight.done():
            return
        self._leave()
        if cancelled:
            self._flight.cancel()
        else:
            self._flight.set_result(None)

    def _settle(self, stored: StoredResponse) -> None:
        # Who lost patience may have begun another: those who wait for that one are served, too.
        for flight in (self._flight, self._cache.flights.get((self._key, self._versions))):
            if flight is not None and not flight.done():
                flight.set_result(stored)

    def _leave(self) -> None:
        if self._cache.flights.get((self._key, self._versions)) is self._flight:
            del self._cache.flights[self._key, self._versions]


class ResponseCache:
    """Responses in a store that may be down: then everything is computed, and nothing fails.

    A tag has a version: a process, the time of its last change, something random. A response is stored with the
    versions that its tags had, is good while they are the same, and is not stored if one of them is newer than the
    request, whose dependencies may have read what was before. So what was read before a change is never served
    after it, by no worker, however late it is computed.
    """

    def __init__(self, store: Store, max_body_size: int) -> None:
        self.statistics = Statistics()
        self.flights: dict[tuple[str, _Versions], _Flight] = {}
        self._store = store
        self._max_body_size = max_body_size
        self._process = secrets.token_hex(4)
        self._owed: dict[str, int] = {}
        self._changes = itertools.count()
        self._retrying: asyncio.Task[None] | None = None

    async def invalidate(self, *tags: str) -> None:
        """Make every response with one of the tags be computed anew, for all who share the store.

        If the store does not answer, this is done as soon as it does; until then this process stores and
        serves nothing. Should the process end before, other workers serve what they have until it expires.
        """
        await self._change([f"tag:{tag}" for tag in tags])

    async def clear(self) -> None:
        """Make every response be computed anew."""
        await self._change([_ALL])

    async def look_up(
        self, key: str, tags: Sequence[str], expire: int, began_at: float
    ) -> StoredResponse | Computation:
        """Return the stored response, or a computation for the caller to finish or abandon."""
        for _ in range(_TRIES):
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
            # Unlike `await flight`, this neither cancels it nor raises what it raises.
            await asyncio.wait([flight], timeout=_PATIENCE)
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

    async def keep(
        self, key: str, stored: StoredResponse, expire: int, tags: Sequence[str]
    ) -> bool:
        """Store a response unless its body is too large; tell whether it is stored."""
        if len(stored.response.body) > self._max_body_size:
            return False
        # Somewhat less, so that what was stored together does not expire together.
        seconds = expire * random.uniform(0.9, 1)  # noqa: S311 (no secret)
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

    def _begin(self, key: str, versions: _Versions) -> Computation:
        flight: _Flight = asyncio.get_running_loop().create_future()
        self.flights[key, versions] = flight
        return Computation(self, key, versions, flight)

    def _is_newer(self, version: str, began_at: float) -> bool:
        """Tell whether the change may have come after a request began."""
        try:
            process, changed_at, _ = version.split(" ")
            return float(changed_at) + (0 if process == self._process else _CLOCKS) >= began_at
        except ValueError:  # garbage
            return True

    async def _read(
        self, key: str, tags: Sequence[str], expire: int
    ) -> tuple[StoredResponse | None, _Versions | None]:
        """Return what is stored, and the tags' versions; None for both if the store is not to be used."""
        if self._owed:
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
        self._owed.update(dict.fromkeys(keys, next(self._changes)))
        if len(self._owed) > _MAX_OWED:
            self._owed = {_ALL: next(self._changes)}
        try:
            await self._pay()
        except StoreUnavailable:
            self.statistics.errors += 1
            if self._retrying is None or self._retrying.done():
                self._retrying = asyncio.create_task(self._retry())

    async def _pay(self) -> None:
        owed = dict(self._owed)
        version = f"{self._process} {time.time()} {secrets.token_hex(8)}".encode()
        writes = (self._store.write(key, version, _VERSION_LIFETIME, []) for key in owed)
        await asyncio.gather(*writes)
        for key, change in owed.items():
            if self._owed.get(key) == change:  # not changed once more meanwhile
                del self._owed[key]

    async def _retry(self) -> None:
        while self._owed:
            await asyncio.sleep(_RETRY * random.uniform(0.5, 1))  # noqa: S311 (no secret)
            with suppress(StoreUnavailable):
                await self._pay()


def _version_keys(tags: Sequence[str]) -> list[str]:
    return [_ALL, *(f"tag:{tag}" for tag in tags)]


@asynccontextmanager
async def open_response_cache(settings: Settings) -> AsyncIterator[ResponseCache]:
    """Open the cache on its store. It logs its statistics when it is closed."""
    async with open_store(settings) as store:
        cache = ResponseCache(store, settings.cache_max_body_size)
        try:
            yield cache
        finally:
            await cache.close()
            logger.info("response cache", extra=asdict(cache.statistics))
