"""What goes over the wire."""

from pydantic import BaseModel


class UpstreamStatus(BaseModel):
    """`duration_ms`: how long the other service took to answer."""

    status: int
    duration_ms: float
