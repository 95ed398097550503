"""fastapi-pagination pages through users, and fastapi-filter filters them."""

from typing import Annotated

from fastapi import FastAPI
from fastapi_filter import FilterDepends
from fastapi_filter.contrib.sqlalchemy import Filter
from fastapi_pagination import Page, add_pagination
from fastapi_pagination.ext.sqlalchemy import apaginate
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.wiring import EnginesDep
from app.users.models import User
from app.users.schemas import UserRead
from tests.kit.helpers import open_client
from tests.users.people import register


class UserFilter(Filter):
    email__like: str | None = None

    class Constants(Filter.Constants):
        model = User


async def test_users_are_paged_and_filtered(app: FastAPI) -> None:
    @app.get("/people")
    async def people(
        engines: EnginesDep, wanted: Annotated[UserFilter, FilterDepends(UserFilter)]
    ) -> Page[UserRead]:
        async with AsyncSession(engines.reading) as session:
            statement = wanted.filter(select(User)).order_by(User.email)
            page: Page[UserRead] = await apaginate(session, statement)
        return page

    add_pagination(app)
    async with open_client(app) as client:
        for name in ("ada", "grace", "alan"):
            await register(client, f"{name}@example.com")
        assert await emails(client, "/people?size=2") == ["ada@example.com", "alan@example.com"]
        assert await emails(client, "/people?size=2&page=2") == ["grace@example.com"]
        assert await emails(client, "/people?email__like=gra%25") == ["grace@example.com"]


async def emails(client: AsyncClient, url: str) -> list[str]:
    response = await client.get(url)
    assert response.status_code == 200, response.text
    return [user["email"] for user in response.json()["items"]]
