"""Dependencies that need each other, 12 deep, as classes that the container makes."""

from typing import Annotated, Any

from clean_ioc import Lifespan

from app.graph import AppContainer
from app.scopes import Resolve

LEVELS: dict[int, Any] = {}
CLASSES: list[Any] = []


def level(below: Any) -> Any:
    if below is None:

        class Level: ...
    else:

        class Level:  # type: ignore[no-redef]
            def __init__(self, below: below) -> None: ...  # type: ignore[valid-type]

    return Level


for depth in range(1, 13):
    CLASSES.append(level(CLASSES[-1] if CLASSES else None))
    LEVELS[depth] = Annotated[CLASSES[-1], Resolve(CLASSES[-1])]


def register(container: AppContainer) -> None:
    for each in CLASSES:
        container.register(each, lifespan=Lifespan.scoped)
