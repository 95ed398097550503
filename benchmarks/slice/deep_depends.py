"""Dependencies that need each other, 12 deep, as plain `Depends` writes them."""

from typing import Annotated, Any

from fastapi import Depends

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
