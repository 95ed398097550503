"""One object for each request, on top of what the service has."""

from typing import Annotated

from fastapi import Depends

from app.wiring import SettingsDep


class Hello:
    def __init__(self, name: str) -> None:
        self.name = name


async def get_hello(settings: SettingsDep) -> Hello:
    return Hello(settings.environment)


HelloDep = Annotated[Hello, Depends(get_hello)]
