"""Users as others see them, or do not."""

from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.users.people import Person, register


async def test_users_see_only_themselves(authenticated_client: AsyncClient) -> None:
    own = (await authenticated_client.get("/profile")).json()
    assert (await authenticated_client.get(f"/users/{own['id']}")).json() == own
    bob = await register(authenticated_client, "bob@example.com")
    headers = await bob.headers(authenticated_client)
    bobs = (await authenticated_client.get("/profile", headers=headers)).json()["id"]
    others = await authenticated_client.get(f"/users/{bobs}")
    nobodys = await authenticated_client.get(f"/users/{uuid4()}")
    assert others.status_code == nobodys.status_code == 404
    assert others.json().keys() == nobodys.json().keys()
    assert others.json()["detail"] == nobodys.json()["detail"]


async def test_an_admin_sees_anyone(client: AsyncClient, admin: Person, ada: Person) -> None:
    hers = (await client.get("/profile", headers=await ada.headers(client))).json()
    headers = await admin.headers(client)
    assert (await client.get(f"/users/{hers['id']}", headers=headers)).json() == hers
    assert (await client.get(f"/users/{uuid4()}", headers=headers)).status_code == 404


async def test_only_an_admin_lists_users(authenticated_client: AsyncClient) -> None:
    assert (await authenticated_client.get("/users")).status_code == 403
    del authenticated_client.headers["Authorization"]
    assert (await authenticated_client.get("/users")).status_code == 401


async def test_pages_list_each_user_once_in_order_of_creation(
    client: AsyncClient, admin: Person
) -> None:
    for number in range(6):
        await register(client, f"user{number}@example.com")
    headers = await admin.headers(client)
    found: list[str] = []
    params: dict[str, str | int] = {"size": 3}
    while True:
        page = (await client.get("/users", params=params, headers=headers)).json()
        assert len(page["items"]) <= 3
        found += [user["email"] for user in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(found) == 3:  # who comes later moves nobody to another page
            await register(client, "late@example.com")
    expected = ["admin@example.com", *(f"user{number}@example.com" for number in range(6))]
    assert found == [*expected, "late@example.com"]


@pytest.mark.parametrize("params", [{"size": 0}, {"size": 101}, {"cursor": "x"}])
async def test_a_page_is_bounded(
    client: AsyncClient, admin: Person, params: dict[str, str | int]
) -> None:
    response = await client.get("/users", params=params, headers=await admin.headers(client))
    assert response.status_code == 422
