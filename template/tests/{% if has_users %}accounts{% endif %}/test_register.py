"""Registration."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import AsyncClient

from app.kit.errors import raises
from app.kit.wiring import DatabaseDep
from app.settings import Settings
from tests.kit.helpers import open_client
from tests.users.people import PASSWORD, Person, register


def test_a_user_registers_and_signs_in(sync_client: TestClient) -> None:
    """With the synchronous client, as a plain function."""
    form = {"email": "Ada@Example.com", "password": PASSWORD}
    response = sync_client.post("/register", json=form)
    assert (response.status_code, response.json()) == (201, {"email": "ada@example.com"})
    token = sync_client.post("/token", data={"username": "ada@example.com", "password": PASSWORD})
    assert token.status_code == 200


async def test_a_known_address_is_answered_alike(client: AsyncClient, ada: Person) -> None:
    known = await client.post(
        "/register", json={"email": ada.email, "password": "another long password"}
    )
    new = await client.post("/register", json={"email": "new@example.com", "password": PASSWORD})
    assert known.status_code == new.status_code == 201
    assert known.json().keys() == new.json().keys()
    assert await ada.sign_in(client)  # the password is still hers


@pytest.mark.parametrize(
    "form",
    [
        {"email": "ada@example.com", "password": "too short"},
        {"email": "ada@example.com", "password": "x" * 257},
        {"email": "no address", "password": PASSWORD},
        {"email": "ada@example.com"},
        {"email": "ada@example.com", "password": PASSWORD, "is_admin": True},
    ],
)
async def test_invalid_registration_is_refused(
    client: AsyncClient, form: dict[str, object]
) -> None:
    response = await client.post("/register", json=form)
    assert response.status_code == 422
    assert str(form.get("password")) not in response.text


@pytest.mark.parametrize(
    "password", ["password12345", "qwertyuiop123", "iloveyouiloveyou", "letmein12345", "a" * 40]
)
async def test_common_password_is_refused(authenticated_client: AsyncClient, password: str) -> None:
    form = {"email": "new@example.com", "password": password}
    change = {"current_password": PASSWORD, "new_password": password}
    for path, body in (("/register", form), ("/profile/password", change)):
        response = await authenticated_client.post(path, json=body)
        assert response.status_code == 422
        assert response.json()["type"] == "/problems/weak-password"


async def test_half_a_surrogate_pair_is_no_password(authenticated_client: AsyncClient) -> None:
    half = r'"\ud800aaaaaaaaaaaaaaaa"'
    headers = {"Content-Type": "application/json"}
    for path, body in [
        ("/register", f'{{"email": "x@example.com", "password": {half}}}'),
        ("/profile/password", f'{{"current_password": {half}, "new_password": {half}}}'),
    ]:
        response = await authenticated_client.post(path, content=body, headers=headers)
        assert response.status_code == 422


async def test_registrations_are_limited_per_account(client: AsyncClient, ada: Person) -> None:
    form = {"email": ada.email, "password": PASSWORD}
    statuses = [(await client.post("/register", json=form)).status_code for _ in range(11)]
    assert statuses[-1] == 429


async def test_an_address_may_be_written_in_two_ways(client: AsyncClient) -> None:
    await register(client, "zoe\u0301@example.com")
    form = {"username": " ZO\u00c9@example.com", "password": PASSWORD}
    assert (await client.post("/token", data=form)).status_code == 200


@pytest.mark.parametrize("error", ["exception", "http"])
async def test_a_failed_request_leaves_no_row(app: FastAPI, settings: Settings, error: str) -> None:
    from fastapi import HTTPException

    from app.users.dependencies import UserServiceDep

    @app.post("/fails")
    @raises(409)
    async def fails(users: UserServiceDep, db: DatabaseDep) -> None:
        async with db.transaction():
            assert await users.register("ada@example.com", PASSWORD)
            raise HTTPException(409) if error == "http" else RuntimeError("after the write")

    async with open_client(app) as client:
        response = await client.post("/fails")
        assert response.status_code == (409 if error == "http" else 500)
        form = {"username": "ada@example.com", "password": PASSWORD}
        assert (await client.post("/token", data=form)).status_code == 401
