"""Plain `Depends`: an object of the request, and a chain of 12 dependencies."""

from typing import Annotated, Any

from fastapi import Depends

from app.wiring import SettingsDep


class Hello:
    def __init__(self, name: str) -> None:
        self.name = name


async def get_hello(settings: SettingsDep) -> Hello:
    return Hello(settings.environment)


HelloDep = Annotated[Hello, Depends(get_hello)]

LEVELS: dict[int, Any] = {}


class Level: ...


def level(depth: int) -> Any:
    if depth == 1:

        async def get_level() -> Level:
            return Level()
    else:

        async def get_level(below: LEVELS[depth - 1]) -> Level:  # type: ignore[misc,valid-type]
            return Level()

    return Annotated[Level, Depends(get_level)]


for depth in range(1, 13):
    LEVELS[depth] = level(depth)
