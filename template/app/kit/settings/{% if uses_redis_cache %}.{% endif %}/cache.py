"""Settings of the response cache in Redis or Valkey."""

from pydantic import Field
from pydantic_settings import BaseSettings


class CacheSettings(BaseSettings):
    cache_max_body_size: int = Field(default=256 * 1024, ge=0)
    """Maximum bytes of a response body; a larger one is not cached."""
    cache_timeout: float = Field(default=0.25, gt=0)
    """Seconds for an answer of the server, including the connection; then the route runs."""
    cache_max_connections: int = Field(default=10, ge=1)
    """Connections of each worker; concurrent commands share one."""
