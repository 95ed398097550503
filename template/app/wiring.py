"""What several slices share and how it is made, in plain FastAPI.

`app/kit/wiring.py` has what the kit makes; what one slice needs is made in its `dependencies.py`.
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
