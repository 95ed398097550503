"""Plain `Depends`: an object of the request, a chain of 12, and one that needs 30 others."""

from typing import Annotated, Any

from fastapi import Depends

from app.wiring import SettingsDep


class Hello:
    def __init__(self, name: str) -> None:
        self.name = name


async def get_hello(settings: SettingsDep) -> Hello:
    return Hello(settings.environment)


HelloDep = Annotated[Hello, Depends(get_hello)]


class Part: ...


def needing(*needs: Any) -> Any:
    """Return an alias whose provider takes an object of each alias."""
    namespace = {f"Dep{number}": each for number, each in enumerate(needs)} | {"Part": Part}
    parameters = ", ".join(f"part{number}: Dep{number}" for number, _ in enumerate(needs))
    exec(f"async def get_part({parameters}) -> Part:\n    return Part()", namespace)  # noqa: S102
    return Annotated[Part, Depends(namespace["get_part"])]


LEVELS = {1: needing()}
for depth in range(2, 13):
    LEVELS[depth] = needing(LEVELS[depth - 1])
WideDep = needing(LEVELS[12], *(needing() for _ in range(29)))
