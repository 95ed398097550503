"""Responses."""

from pydantic import BaseModel


class UpstreamStatus(BaseModel):
    """`duration_ms` is the time until the other service answered."""

    status: int
    duration_ms: float
