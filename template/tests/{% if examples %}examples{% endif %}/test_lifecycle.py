"""What is made once for the app, once a request, and every time."""

from httpx2 import AsyncClient


async def test_what_is_the_same_within_a_request(client: AsyncClient) -> None:
    assert (await client.get("/examples/lifecycle")).json() == {
        "request_scoped_same_instance": True,
        "transient_same_instance": False,
        "singleton_same_instance": True,
    }


async def test_two_requests_see_different_trackers(client: AsyncClient) -> None:
    one = (await client.get("/examples/tracker")).json()
    other = (await client.get("/examples/tracker")).json()
    assert one != other
