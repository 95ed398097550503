"""The container: an object of the request, and a chain of 12 classes."""

from typing import Annotated, Any

from dishka import Provider, Scope

from app.kit.lifecycle import Resolve
from app.settings import Settings


class Hello:
    def __init__(self, settings: Settings) -> None:
        self.name = settings.environment


HelloDep = Annotated[Hello, Resolve(Hello)]

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

provider = Provider(Scope.REQUEST)
provider.provide_all(Hello, *CLASSES)
