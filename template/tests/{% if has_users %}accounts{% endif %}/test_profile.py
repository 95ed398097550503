"""One's own profile."""

import asyncio

import pytest
from httpx2 import AsyncClient

from app.users.repository import UserRepository
from tests.users.people import PASSWORD, Person


async def test_it_shows_oneself_and_no_secret(
    authenticated_client: AsyncClient, ada: Person
) -> None:
    response = await authenticated_client.get("/profile")
    assert response.status_code == 200
    profile = response.json()
    assert profile.keys() == {"id", "email", "full_name", "is_admin", "created_at"}
    assert (profile["email"], profile["full_name"], profile["is_admin"]) == (ada.email, None, False)
    assert profile["created_at"].endswith("Z")


async def test_it_can_be_changed(authenticated_client: AsyncClient) -> None:
    changed = await authenticated_client.patch("/profile", json={"full_name": "Ada Lovelace"})
    assert changed.json()["full_name"] == "Ada Lovelace"
    assert (await authenticated_client.get("/profile")).json() == changed.json()
    unchanged = await authenticated_client.patch("/profile", json={})
    assert unchanged.json() == changed.json()
    cleared = await authenticated_client.patch("/profile", json={"full_name": None})
    assert cleared.json()["full_name"] is None


@pytest.mark.parametrize("changes", [{"is_admin": True}, {"email": "x@example.com"}, {"id": "1"}])
async def test_other_fields_cannot_be_changed(
    authenticated_client: AsyncClient, changes: dict[str, object]
) -> None:
    assert (await authenticated_client.patch("/profile", json=changes)).status_code == 422


async def test_password_change_needs_the_current_password(
    authenticated_client: AsyncClient, ada: Person
) -> None:
    change = {"current_password": "not hers", "new_password": "another long password"}
    refused = await authenticated_client.post("/profile/password", json=change)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "The current password is wrong.",
    )
    change["current_password"] = PASSWORD
    assert (await authenticated_client.post("/profile/password", json=change)).status_code == 200
    assert await Person(ada.email, "another long password").sign_in(authenticated_client)
    form = {"username": ada.email, "password": PASSWORD}
    assert (await authenticated_client.post("/token", data=form)).status_code == 401


async def test_password_change_ends_other_tokens(
    authenticated_client: AsyncClient, ada: Person
) -> None:
    other = await ada.headers(authenticated_client)
    change = {"current_password": PASSWORD, "new_password": "another long password"}
    token = (await authenticated_client.post("/profile/password", json=change)).json()
    assert token.keys() == {"access_token", "token_type", "expires_in"}
    own = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await authenticated_client.get("/profile", headers=own)).status_code == 200
    for headers in (other, None):
        assert (await authenticated_client.get("/profile", headers=headers)).status_code == 401


@pytest.mark.parametrize("name", [r"a\u0000b", r"\ud800", r"a\udfffb"])
async def test_text_that_cannot_be_stored_is_refused(
    authenticated_client: AsyncClient, name: str
) -> None:
    response = await authenticated_client.patch(
        "/profile",
        content=f'{{"full_name": "{name}"}}',
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 422


async def test_guesses_at_the_current_password_are_limited(
    authenticated_client: AsyncClient,
) -> None:
    change = {"current_password": "a guess", "new_password": "another long password"}
    statuses = [
        (await authenticated_client.post("/profile/password", json=change)).status_code
        for _ in range(11)
    ]
    assert set(statuses[:9]) == {403}
    assert statuses[-1] == 429


async def test_a_deleted_user_is_gone(authenticated_client: AsyncClient, ada: Person) -> None:
    assert (await authenticated_client.delete("/profile")).status_code == 204
    assert (await authenticated_client.get("/profile")).status_code == 401
    form = {"username": ada.email, "password": ada.password}
    assert (await authenticated_client.post("/token", data=form)).status_code == 401


async def test_concurrent_changes_all_end_well(authenticated_client: AsyncClient) -> None:
    """With real commits: the test's database is its own."""
    changes = [{"full_name": f"Ada {number}"} for number in range(20)]
    responses = await asyncio.gather(
        *(authenticated_client.patch("/profile", json=change) for change in changes),
        *(authenticated_client.get("/profile") for _ in changes),
    )
    assert {response.status_code for response in responses} == {200}
    last = (await authenticated_client.get("/profile")).json()["full_name"]
    assert {"full_name": last} in changes


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/profile", {"full_name": "Ada Lovelace"}),
        (
            "POST",
            "/profile/password",
            {"current_password": PASSWORD, "new_password": "another long password"},
        ),
        ("POST", "/sign-out", None),
    ],
)
async def test_a_user_who_is_deleted_during_a_request_is_not_found(
    authenticated_client: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: object,
) -> None:
    async def update_nobody(*_: object) -> None: ...

    monkeypatch.setattr(UserRepository, "update", update_nobody)
    response = await authenticated_client.request(method, path, json=body)
    assert (response.status_code, response.json()["type"]) == (404, "/problems/not-found")
