"""Settings of the jobs in PostgreSQL."""

from pydantic import Field
from pydantic_settings import BaseSettings


class JobsSettings(BaseSettings):
    job_concurrency: int = Field(default=10, ge=1)
    """Jobs that a worker runs at once."""
