"""What can be said to a visitor."""

import humanize

from app.greetings.visits import Visits
from app.settings import Settings


class GreetingService:
    def __init__(self, visits: Visits, settings: Settings) -> None:
        self.visits = visits
        self.settings = settings

    def greet(self, name: str) -> str:
        visit = humanize.ordinal(self.visits.count(name))
        return f"{self.settings.greeting}, {name}, for the {visit} time!"
