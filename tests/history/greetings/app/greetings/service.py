"""Greetings for visitors."""

import humanize

from app.greetings.clock import Clock
from app.greetings.visits import Visits
from app.settings import Settings


class GreetingService:
    def __init__(self, visits: Visits, clock: Clock, settings: Settings) -> None:
        self.visits = visits
        self.clock = clock
        self.settings = settings

    def greet(self, name: str) -> str:
        visit = humanize.ordinal(self.visits.count(name))
        year = self.clock.now().year
        return f"{self.settings.greeting}, {name}, for the {visit} time in {year}!"
