"""A response that is computed at most every five minutes."""

import asyncio

from httpx2 import AsyncClient


async def test_concurrent_requests_share_one_computation(client: AsyncClient) -> None:
    responses = await asyncio.gather(*(client.get("/examples/data") for _ in range(20)))
    assert len({response.text for response in responses}) == 1
    assert (await client.get("/examples/data")).text == responses[0].text
    assert responses[0].headers["Cache-Control"] == "public, max-age=300"
    assert (await client.get("/examples/cache")).json() == {
        "hits": 1,
        "misses": 1,
        "waits": 19,
        "errors": 0,
    }
