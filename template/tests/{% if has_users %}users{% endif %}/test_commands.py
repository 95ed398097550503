"""`python -m app create-admin`."""

import io
import sys
from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from app.application import open_root_scope
from app.kit.errors import ServiceError
from app.kit.lifecycle import Override, WorkScope
from app.settings import Settings
from app.users.commands import create_admin
from tests.users.people import PASSWORD, Person


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
async def scope(settings: Settings, overrides: list[Override]) -> AsyncIterator[WorkScope]:
    """The scope of a command."""
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        yield scope


async def test_new_admin_gets_the_piped_password(
    client: AsyncClient, scope: WorkScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    printed = await create_admin(scope, "Root@Example.com")
    assert printed == "root@example.com was added as an admin."
    headers = await Person("root@example.com", PASSWORD).headers(client)
    assert (await client.get("/profile", headers=headers)).json()["is_admin"] is True


async def test_existing_user_becomes_an_admin_with_a_new_password(
    client: AsyncClient, scope: WorkScope, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may have registered the address."""
    headers = await ada.headers(client)
    monkeypatch.setattr(sys, "stdin", io.StringIO("another long password\n"))
    printed = await create_admin(scope, ada.email)
    assert printed == f"{ada.email} is an admin now, with this password."
    assert (await client.get("/profile", headers=headers)).status_code == 401
    form = {"username": ada.email, "password": PASSWORD}
    assert (await client.post("/token", data=form)).status_code == 401
    headers = await Person(ada.email, "another long password").headers(client)
    assert (await client.get("/profile", headers=headers)).json()["is_admin"] is True


@pytest.mark.parametrize(
    ("email", "typed", "message"),
    [
        ("no address", [PASSWORD, PASSWORD], "not a valid email address"),
        ("root@example.com", ["too short", "too short"], "at least 12"),
        ("root@example.com", [PASSWORD, "a different one"], "The passwords differ"),
    ],
)
async def test_invalid_input_is_explained_without_the_password(
    scope: WorkScope, monkeypatch: pytest.MonkeyPatch, email: str, typed: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: typed.pop(0))
    with pytest.raises(ServiceError, match=message) as raised:
        await create_admin(scope, email)
    assert "too short" not in str(raised.value)
