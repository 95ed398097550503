"""`python -m app create-admin`."""

import io
import sys

import pytest
from fastapi import FastAPI

from app.overrides import Override
from app.settings import Settings
from app.users.commands import create_admin
from tests.helpers import open_client
from tests.users.people import PASSWORD, Person


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_it_adds_an_admin_with_a_piped_password(
    app: FastAPI,
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert "was added" in await create_admin(settings, "Root@Example.com", overrides)
    async with open_client(app) as client:
        headers = await Person("root@example.com", PASSWORD).headers(client)
        assert (await client.get("/profile", headers=headers)).json()["is_admin"] is True


@pytest.mark.parametrize(
    ("email", "typed", "message"),
    [
        ("no address", [PASSWORD, PASSWORD], "not a valid email address"),
        ("root@example.com", ["too short", "too short"], "at least 12"),
        ("root@example.com", [PASSWORD, "a different one"], "The passwords differ"),
    ],
)
async def test_it_says_what_is_allowed(
    settings: Settings,
    overrides: list[Override],
    monkeypatch: pytest.MonkeyPatch,
    email: str,
    typed: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: typed.pop(0))
    with pytest.raises(ValueError, match=message) as raised:
        await create_admin(settings, email, overrides)
    assert "too short" not in str(raised.value)
