"""How this slice's objects are made."""

from typing import Annotated

from dishka import Provider, Scope, provide

from app.greetings.service import GreetingService
from app.greetings.visits import Visits
from app.kit.lifecycle import Resolve


class GreetingProvider(Provider):
    visits = provide(Visits, scope=Scope.APP)
    greeting_service = provide(GreetingService, scope=Scope.REQUEST)


GreetingServiceDep = Annotated[GreetingService, Resolve(GreetingService)]
