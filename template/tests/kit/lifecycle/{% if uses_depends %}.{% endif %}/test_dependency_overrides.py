"""FastAPI's `dependency_overrides` under plain `Depends`."""

from typing import Annotated

from fastapi import Depends, FastAPI

from app.application import create_app
from app.kit.lifecycle import RootScopeDep
from app.kit.wiring import HttpClientDep, get_kit_settings
from app.settings import Settings
from app.wiring import get_settings
from tests.kit.helpers import open_client


async def test_they_reach_requests_and_the_scopes_opened_in_them(
    app: FastAPI, settings: Settings
) -> None:
    other = settings.model_copy(update={"log_level": "ERROR"})

    @app.get("/log-levels")
    async def log_levels(
        settings: Annotated[Settings, Depends(get_settings)], root_scope: RootScopeDep
    ) -> list[str]:
        async with root_scope.new_scope() as scope:
            return [settings.log_level, (await scope.resolve(Settings)).log_level]

    app.dependency_overrides[get_settings] = lambda: other
    async with open_client(app) as client:
        assert (await client.get("/log-levels")).json() == ["ERROR", "ERROR"]
    app.dependency_overrides.clear()
    async with open_client(app) as client:
        assert (await client.get("/log-levels")).json() == ["INFO", "INFO"]


async def test_singletons_are_made_from_them(settings: Settings) -> None:
    app = create_app(settings)
    other = settings.model_copy(update={"http_timeout": 1.5})

    @app.get("/timeout")
    async def timeout(http_client: HttpClientDep) -> float | None:
        return http_client.timeout.read

    app.dependency_overrides[get_kit_settings] = lambda: other
    async with open_client(app) as client:
        assert (await client.get("/timeout")).json() == 1.5
