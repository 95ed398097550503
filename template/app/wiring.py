"""Objects that several slices share and how they are made, in plain FastAPI.

`app/kit/wiring.py` makes the objects of the kit, a slice's `dependencies.py` those of the slice.
"""

from typing import Annotated

from fastapi import Depends

from app.kit.lifecycle import singleton
from app.kit.wiring import KitSettingsDep
from app.settings import Settings


@singleton
async def get_settings(settings: KitSettingsDep) -> Settings:
    assert isinstance(settings, Settings)
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]
