"""Stores bytes by key in this process. Each worker has its own store, empty after a restart."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from cachetools import TLRUCache

from app.kit.settings import KitSettings

_OVERHEAD_BYTES = 500  # of an entry besides its key and value, roughly


class StoreUnavailable(Exception):
    """The store is down. This one never is."""


class Entry(NamedTuple):
    key: str
    value: bytes
    expire: float


class Store:
    """Bounded by entries and by bytes; evicts the least recently used."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.entries: TLRUCache[str, Entry] = TLRUCache(
            max_bytes, ttu=lambda _, entry, now: now + entry.expire, getsizeof=_size
        )

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None for each missing key."""
        entries = map(self.entries.get, keys)
        return [None if entry is None else entry.value for entry in entries]

    async def add(self, keys: Sequence[str], value: bytes, expire: float) -> list[bytes]:
        """Set the missing keys for `expire` seconds; return the values of all keys."""
        for key in keys:
            if key not in self.entries:
                self._put(Entry(key, value, expire))
        return [found or value for found in await self.read(keys)]

    async def write(
        self, key: str, value: bytes, expire: float, outlived_by: Sequence[str]
    ) -> None:
        """Set a key for `expire` seconds; the keys in `outlived_by` must not expire before it."""
        self._put(Entry(key, value, expire))
        for each in outlived_by:
            if (entry := self.entries.get(each)) is not None:
                self._put(entry._replace(expire=max(entry.expire, 2 * expire)))

    async def change(self, keys: Sequence[str], value: bytes, expire: float) -> None:
        """Set the keys for `expire` seconds."""
        for key in keys:
            self._put(Entry(key, value, expire))

    def _put(self, entry: Entry) -> None:
        if _size(entry) > self.entries.maxsize:
            return
        with suppress(KeyError):  # the last entry has just expired
            while len(self.entries) >= self.max_entries and entry.key not in self.entries:
                self.entries.popitem()
        self.entries[entry.key] = entry


def _size(entry: Entry) -> int:
    return len(entry.key) + len(entry.value) + _OVERHEAD_BYTES


@asynccontextmanager
async def open_store(settings: KitSettings) -> AsyncIterator[Store]:
    yield Store(settings.cache_max_entries, settings.cache_max_bytes)
