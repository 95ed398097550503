"""How this slice's objects are made."""

from typing import Annotated

from clean_ioc import Lifespan

from app.greetings.service import GreetingService
from app.greetings.visits import Visits
from app.kit.lifecycle import Resolve, RootScope


def register(container: RootScope) -> None:
    container.register(Visits, lifespan=Lifespan.singleton)
    container.register(GreetingService, lifespan=Lifespan.scoped)


GreetingServiceDep = Annotated[GreetingService, Resolve(GreetingService)]
