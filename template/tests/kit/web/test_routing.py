"""Routers of slices keep all that FastAPI gives them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request

from app.application import create_app
from app.kit.web import KitApp
from app.settings import Settings
from tests.kit.helpers import open_client


async def test_lifespan_of_an_included_router_runs_beside_the_apps(settings: Settings) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("opened")
        yield {"word": "of the router"}
        events.append("closed")

    router = APIRouter(lifespan=lifespan)

    @router.get("/word")
    async def word(request: Request) -> str:
        assert request.state.root_scope
        return str(request.state.word)

    app = create_app(settings)
    app.include_router(router)
    async with open_client(app) as client:
        assert (await client.get("/word")).json() == "of the router"
        assert events == ["opened"]
    assert events == ["opened", "closed"]


def test_including_a_router_is_left_to_fastapi() -> None:
    """A table of its own for routes has lost lifespans and limits of routers before."""
    assert KitApp.include_router is FastAPI.include_router
