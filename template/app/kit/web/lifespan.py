"""The lifespan of the app: its root scope, open."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import TypedDict

from fastapi import FastAPI

from app.kit.lifecycle import Override, RootScope, open_root_scope
from app.kit.settings import KitSettings


class State(TypedDict):
    """The content of `request.state`."""

    root_scope: RootScope


def create_lifespan(
    settings: KitSettings, modules: Sequence[ModuleType], overrides: Sequence[Override]
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    """Return the lifespan of an app with the objects that these modules make."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        opening = open_root_scope(settings, modules, overrides, app.dependency_overrides)
        async with opening as root_scope:
            yield {"root_scope": root_scope}

    return lifespan
