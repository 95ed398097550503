"""Lifetimes of objects."""

from httpx2 import AsyncClient


async def test_lifetimes_within_a_request(client: AsyncClient) -> None:
    assert (await client.get("/examples/lifecycle")).json() == {
        "request_scoped_same_instance": True,
        "transient_same_instance": False,
        "singleton_same_instance": True,
    }


async def test_each_request_has_its_own_tracker(client: AsyncClient) -> None:
    one = (await client.get("/examples/tracker")).json()
    other = (await client.get("/examples/tracker")).json()
    assert one != other
