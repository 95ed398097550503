"""Objects that the container makes once for each parameter."""

from httpx2 import AsyncClient


async def test_one_for_each_parameter(client: AsyncClient) -> None:
    assert (await client.get("/examples/once-per-graph")).json() == {
        "same_within_a_graph": True,
        "same_in_another_graph": False,
    }
