"""Replace an object by a fake in tests: `create_app(settings, [override(AsyncClient, fake)])`."""

from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Override(NamedTuple):
    """`instance` replaces whatever is provided for `service`."""

    service: type[Any]
    instance: object


def override(service: type[T], instance: T) -> Override:
    """Return an override that reaches requests, WebSockets, streams and jobs.

    Raise TypeError if `instance` is not a `service`; `AsyncMock(spec=AsyncClient)` is one.
    """
    if not isinstance(instance, service):
        name = service.__name__
        raise TypeError(f"override({name}, ...) takes a {name}, not {instance!r}")
    return Override(service, instance)
