"""Settings of every service."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode


def split_list(value: Any) -> Any:
    """Return the items of a comma-separated or JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


StringList = Annotated[list[str], NoDecode, BeforeValidator(split_list)]


class WebSettings(BaseSettings):
    environment: Literal["development", "production"] = "production"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    cors_origins: StringList = []
    """Origins whose pages may call this service from a browser, separated by commas."""
    forwarded_allow_ips: StringList = ["127.0.0.1", "::1"]
    """IPs or networks of the proxies whose `X-Forwarded-*` headers are trusted."""
    max_body_size: int = Field(default=1024 * 1024, ge=0)
    """Maximum bytes of a request body; a larger one is refused with 413."""
    http_timeout: float = Field(default=5.0, gt=0)
    """Seconds for one step of an outbound HTTP request."""
    shutdown_timeout: int = Field(default=20, ge=1)
    """Grace period in seconds for in-flight requests after SIGTERM."""
