"""A user's profile from the cache."""

from httpx2 import AsyncClient

from tests.users.people import register


async def test_cached_profile_is_private_and_current(client: AsyncClient) -> None:
    headers = [
        await (await register(client, f"{name}@example.com")).headers(client)
        for name in ("ada", "grace")
    ]

    async def profiles() -> list[tuple[str, str | None]]:
        answers = [(await client.get("/profile", headers=each)).json() for each in headers]
        return [(answer["email"], answer["full_name"]) for answer in answers]

    before = [("ada@example.com", None), ("grace@example.com", None)]
    assert await profiles() == before
    assert await profiles() == before
    found = await client.get("/profile", headers=headers[0])
    assert "Age" in found.headers
    assert found.headers["Cache-Control"] == "private, no-cache"
    condition = {"If-None-Match": found.headers["ETag"]}
    assert (await client.get("/profile", headers=headers[0] | condition)).status_code == 304
    assert (await client.get("/profile", headers=headers[1] | condition)).status_code == 200

    await client.patch("/profile", headers=headers[0], json={"full_name": "Ada"})
    assert await profiles() == [("ada@example.com", "Ada"), ("grace@example.com", None)]
    assert (await client.get("/profile", headers=headers[0] | condition)).status_code == 200

    await client.delete("/profile", headers=headers[1])
    assert (await client.get("/profile", headers=headers[1])).status_code == 401
    assert (await client.get("/profile")).status_code == 401
