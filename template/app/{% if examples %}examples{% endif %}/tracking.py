"""Two objects to look at while they live and die."""

from uuid import UUID, uuid4


class RequestTracker:
    """Made once a request: whoever asks within it gets the same one."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()


class OperationToken:
    """Transient: whoever asks gets a new one."""

    def __init__(self) -> None:
        self.id: UUID = uuid4()
