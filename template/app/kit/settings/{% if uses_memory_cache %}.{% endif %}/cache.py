"""Settings of the response cache in memory."""

from pydantic import Field
from pydantic_settings import BaseSettings


class CacheSettings(BaseSettings):
    cache_max_body_size: int = Field(default=256 * 1024, ge=0)
    """Maximum bytes of a response body; a larger one is not cached."""
    cache_max_entries: int = Field(default=10_000, ge=100)
    """Maximum number of responses, and of tags; each worker has its own cache."""
    cache_max_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    """Maximum bytes of all responses."""
