"""Commands for greetings."""

from app.greetings.service import GreetingService
from app.kit.lifecycle import WorkScope


async def greet(scope: WorkScope, name: str) -> str:
    """Print a greeting."""
    service = await scope.resolve(GreetingService)
    return service.greet(name)
