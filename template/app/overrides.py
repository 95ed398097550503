"""Put a fake in the place of an object, for tests: `create_app(settings, [override(AsyncClient, fake)])`."""

from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Override:
    """`instance` answers wherever `service` is asked for."""

    service: type[Any]
    instance: object


def override(service: type[T], instance: T) -> Override:
    """Return an override that reaches requests, WebSockets, streams and jobs alike.

    Raises TypeError if `instance` is not a `service`; `AsyncMock(spec=AsyncClient)` is one.
    """
    if not isinstance(instance, service):
        raise TypeError(
            f"override({service.__name__}, ...) takes a {service.__name__}, not {instance!r}"
        )
    return Override(service, instance)
