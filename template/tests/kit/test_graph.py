"""The drawing of the service's objects."""

import re
import sys
from typing import Annotated

from fastapi import Depends

import app.kit.wiring
import app.wiring
from app.kit.graph import flowchart
from app.kit.lifecycle import open_root_scope, singleton
from app.settings import Settings
from app.wiring import SettingsDep


class Pool: ...


class Connection: ...


class Row: ...


@singleton
async def get_pool(settings: SettingsDep) -> Pool:
    return Pool()


PoolDep = Annotated[Pool, Depends(get_pool)]


async def get_connection(pool: PoolDep) -> Connection:
    return Connection()


ConnectionDep = Annotated[Connection, Depends(get_connection)]


async def get_rows(connection: ConnectionDep) -> list[Row]:
    return []


RowsDep = Annotated[list[Row], Depends(get_rows)]


async def test_objects_are_drawn_by_how_long_they_live_with_what_they_need(
    settings: Settings,
) -> None:
    modules = [app.kit.wiring, app.wiring, sys.modules[__name__]]
    async with open_root_scope(settings, modules) as root_scope:
        drawn = [each.strip() for each in flowchart(root_scope).splitlines()]
    assert drawn[:2] == ["flowchart LR", "subgraph app [once for the app]"]
    of_app, of_scope = drawn[2 : drawn.index("end")], drawn[drawn.index("end") + 2 :]
    assert {"KitSettings", "Pool", "Settings"} <= {*of_app}
    assert "Connection" in of_scope[: of_scope.index("end")]
    assert {"Settings --> KitSettings", "Pool --> Settings", "Connection --> Pool"} <= {*drawn}
    assert not [each for each in drawn if re.search(r"^_|RootScope|\.", each)]
