"""All users as CSV, a page at a time."""

import asyncio
import csv
from datetime import UTC, datetime
from unittest.mock import AsyncMock

import anyio
import pytest
from httpx2 import AsyncClient

from app.examples import users_csv
from app.examples.users_csv import line, lines
from app.kit.database import uuid7
from app.users.models import User
from app.users.service import UserService
from tests.users.people import Person, register


async def test_all_users_in_the_order_in_which_they_came(
    client: AsyncClient, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_csv, "_PAGE", 2)
    emails = [f"{number}@example.com" for number in range(5)]
    for email in emails:
        await register(client, email)
    response = await client.get("/examples/users.csv", headers=await admin.headers(client))
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="users.csv"'
    rows = list(csv.DictReader(response.text.splitlines()))
    assert [row["email"] for row in rows] == [admin.email, *emails]


async def test_others_may_not(authenticated_client: AsyncClient) -> None:
    response = await authenticated_client.get("/examples/users.csv")
    assert (response.status_code, response.json()["title"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        (" =1+1", "' =1+1"),
        ("@x", "'@x"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a\t-1", "a\t'-1"),
        ("a|+1", "a|'+1"),
        ("a=b", "a=b"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00:00"),
    ],
)
def test_no_cell_is_a_formula(cell: str, written: str) -> None:
    assert line(cell, "a, b") == f'{written},"a, b"\r\n'


async def test_disconnected_reader_interrupts_no_statement() -> None:
    asked, answered = asyncio.Event(), 0
    user = User(
        id=uuid7(),
        email="",
        password_hash="",
        full_name=None,
        is_admin=True,
        token_version=0,
        created_at=datetime.now(UTC),
    )

    async def page(*_: object, **__: object) -> list[User]:
        nonlocal answered
        asked.set()
        await asyncio.sleep(0.05)
        answered += 1
        return [user] if answered < 5 else []

    async def read() -> None:
        users = AsyncMock(spec=UserService, page=page)
        async for _ in lines(users, [user], user):
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await asked.wait()
        tasks.cancel_scope.cancel()
    assert answered == 1
