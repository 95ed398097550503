"""Two objects with different lifetimes."""

from uuid import UUID, uuid4


class RequestTracker:
    """Created once per request."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()


class OperationToken:
    """Transient: created for every parameter."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()
