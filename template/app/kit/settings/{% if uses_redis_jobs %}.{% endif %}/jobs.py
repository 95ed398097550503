"""Settings of the jobs in Redis or Valkey."""

from pydantic import Field
from pydantic_settings import BaseSettings

from app.kit.settings.redis import RedisUrl


class JobsSettings(BaseSettings):
    job_concurrency: int = Field(default=10, ge=1)
    """Jobs that a worker runs at once."""
    job_redis_url: RedisUrl | None = Field(default=None, repr=False)
    """The server of the jobs if not `redis_url`. It must not evict keys and must write to disk."""
