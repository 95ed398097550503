"""How this slice's objects are made."""

from typing import Annotated

from fastapi import Depends

from app.greetings.service import GreetingService
from app.greetings.visits import Visits
from app.kit.lifecycle import singleton
from app.wiring import ClockDep, SettingsDep


@singleton
async def get_visits() -> Visits:
    return Visits()


VisitsDep = Annotated[Visits, Depends(get_visits)]


async def get_greeting_service(
    visits: VisitsDep, clock: ClockDep, settings: SettingsDep
) -> GreetingService:
    return GreetingService(visits, clock, settings)


GreetingServiceDep = Annotated[GreetingService, Depends(get_greeting_service)]
