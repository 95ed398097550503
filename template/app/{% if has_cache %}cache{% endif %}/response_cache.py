"""What is kept: responses by key, invalidated by tag, computed once at a time."""

import asyncio
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

EVERYTHING = "*"
"""A tag of every response."""

_PATIENCE = 5.0
"""Seconds to wait for somebody else's computation, then it is done once more."""
_LINGER = 0.5
"""Seconds that a computed response is handed to whoever looked for it before it was stored."""
_RETRY = 1.0
"""Seconds between attempts to invalidate while the store does not answer."""
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

    async def finish(self, response: CompleteResponse, expire: int, tags: Sequence[str]) -> None:
        """Hand the response to those who wait, then store it for `expire` seconds."""
        if self._flight is None:
            return
        stored = StoredResponse(response, time.time(), self._versions)
        if not self._flight.done():
            self._flight.set_result(stored)
        try:
            await self._cache.keep(self._key, stored, expire, tags)
        finally:
            asyncio.get_running_loop().call_later(_LINGER, self._leave)

    def abandon(self, *, cancelled: bool) -> None:
        """Let those who wait compute by themselves or, if the caller was cancelled, one of them for all."""
        if self._flight is None or self._flight.done():
            return
        self._leave()
        if cancelled:
            self._flight.cancel()
        else:
            self._flight.set_result(None)

    def _leave(self) -> None:
        self._cache.flights.pop((self._key, self._versions), None)


class ResponseCache:
    """Responses in a store that may be down: then everything is computed, and nothing fails.

    A tag is a key with a random version. A response is stored with the versions that its tags had when its
    computation began, and is good while they are the same: so what was read before a change is never served
    after it, by no worker, however late it is stored. To invalidate is to delete the version.
    """

    def __init__(self, store: Store, max_body_size: int) -> None:
        self.statistics = Statistics()
        self.flights: dict[tuple[str, _Versions], _Flight] = {}
        self._store = store
        self._max_body_size = max_body_size
        self._owed: set[str] = set()
        self._retrying: asyncio.Task[None] | None = None

    async def invalidate(self, *tags: str) -> None:
        """Make every response with one of the tags be computed anew, for all who share the store.

        If the store does not answer, this is done as soon as it does; until then this process stores and
        serves nothing. Should the process end before, other workers serve what they have until it expires.
        """
        self._owed.update(tags)
        if len(self._owed) > _MAX_OWED:
            self._owed = {EVERYTHING}
        try:
            await self._pay()
        except StoreUnavailable:
            self.statistics.errors += 1
            if self._retrying is None or self._retrying.done():
                self._retrying = asyncio.create_task(self._retry())

    async def look_up(self, key: str, tags: Sequence[str]) -> StoredResponse | Computation:
        """Return the stored response, or a computation for the caller to finish or abandon."""
        while True:
            stored, versions = await self._read(key, tags)
            if stored is not None:
                self.statistics.hits += 1
                return stored
            if versions is None:
                self.statistics.misses += 1
                return Computation(self, key, (), None)
            flight = self.flights.get((key, versions))
            if flight is None:
                self.statistics.misses += 1
                flight = asyncio.get_running_loop().create_future()
                self.flights[key, versions] = flight
                return Computation(self, key, versions, flight)
            self.statistics.waits += 1
            # Unlike `await flight`, this neither cancels it nor raises what it raises.
            await asyncio.wait([flight], timeout=_PATIENCE)
            if flight.cancelled():
                continue
            if flight.done() and (stored := flight.result()) is not None:
                return stored
            self.statistics.misses += 1
            return Computation(self, key, (), None)

    async def keep(
        self, key: str, stored: StoredResponse, expire: int, tags: Sequence[str]
    ) -> None:
        """Store a response unless its body is too large."""
        if len(stored.response.body) > self._max_body_size:
            return
        # Somewhat less, so that what was stored together does not expire together.
        seconds = expire * random.uniform(0.9, 1)  # noqa: S311 (no secret)
        try:
            await self._store.write(key, stored.dump(), seconds, _version_keys(tags))
        except StoreUnavailable:
            self.statistics.errors += 1

    async def close(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            with suppress(asyncio.CancelledError):
                await self._retrying

    async def _read(
        self, key: str, tags: Sequence[str]
    ) -> tuple[StoredResponse | None, _Versions | None]:
        """Return what is stored, and the tags' versions; None for both if the store is not to be used."""
        if self._owed:
            return None, None
        version_keys = _version_keys(tags)
        try:
            value, *found = await self._store.read([key, *version_keys])
            versions = tuple(version.decode("latin-1") for version in found if version is not None)
            if len(versions) == len(version_keys):
                return self._load(value, versions), versions
            added = await self._store.add(version_keys, secrets.token_hex(8).encode())
            return None, tuple(version.decode("latin-1") for version in added)
        except StoreUnavailable:
            self.statistics.errors += 1
            return None, None

    def _load(self, value: bytes | None, versions: _Versions) -> StoredResponse | None:
        if value is None:
            return None
        try:
            stored = StoredResponse.load(value)
        except ValueError:
            self.statistics.errors += 1
            return None
        return stored if stored.versions == versions else None

    async def _pay(self) -> None:
        owed = list(self._owed)
        await self._store.delete([f"tag:{tag}" for tag in owed])
        self._owed.difference_update(owed)

    async def _retry(self) -> None:
        while self._owed:
            await asyncio.sleep(_RETRY * random.uniform(0.5, 1))  # noqa: S311 (no secret)
            with suppress(StoreUnavailable):
                await self._pay()


def _version_keys(tags: Sequence[str]) -> list[str]:
    return [f"tag:{tag}" for tag in (EVERYTHING, *tags)]


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
