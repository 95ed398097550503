"""The store in memory."""

from app.kit.cache.store import _OVERHEAD_BYTES, Store


async def test_entries_are_bounded() -> None:
    store = Store(max_entries=3, max_bytes=1_000_000)
    for key in "abcd":
        await store.write(key, key.encode(), 60, [])
        await store.read(["a"])
    assert await store.read(list("abcd")) == [b"a", None, b"c", b"d"]


async def test_bytes_are_bounded() -> None:
    size = 1 + 1000 + _OVERHEAD_BYTES
    store = Store(max_entries=1_000_000, max_bytes=10 * size)
    for number in range(50):
        await store.write(chr(65 + number), b"x" * 1000, 60, [])
        assert store.entries.currsize <= 10 * size
    assert len(store.entries) == 10
    await store.write("too large", b"x" * 20 * size, 60, [])
    assert await store.read(["too large"]) == [None]
    assert len(store.entries) == 10


async def test_keys_outlive_those_that_depend_on_them() -> None:
    store = Store(max_entries=10, max_bytes=1_000_000)
    assert await store.add(["tag"], b"1", 60) == [b"1"]
    assert await store.add(["tag", "new"], b"2", 60) == [b"1", b"2"]
    await store.write("key", b"", 1_000_000, ["tag", "gone"])
    assert store.entries["tag"].expire == 2_000_000
    assert await store.read(["gone"]) == [None]
