"""Notes."""

from httpx2 import AsyncClient


async def test_written_notes_are_listed(client: AsyncClient) -> None:
    written = await client.post("/notes", json={"text": "Buy milk"})
    assert written.status_code == 201
    assert (await client.get("/notes")).json() == [written.json()]
    assert (await client.post("/notes", json={"text": ""})).status_code == 422
