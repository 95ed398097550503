"""Settings of every service."""

import ipaddress
import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode


def split_list(value: Any) -> Any:
    """Return the items of a comma-separated or JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def check_origin(origin: str) -> str:
    """Return the origin as browsers send it (RFC 6454). Raise ValueError for anything else."""
    parts = urlsplit(origin.lower())
    port = f":{parts.port}" if parts.port else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if origin != "*" and (not host or f"{parts.scheme}://{host}{port}" != origin.lower()):
        raise ValueError("write an origin such as https://app.example.com, without a path, or *")
    return origin.lower()


def check_network(network: str) -> str:
    """Return the IP or network of a proxy. Raise ValueError for anything else."""
    try:
        ipaddress.ip_network("0.0.0.0/0" if network == "*" else network)
    except ValueError:
        raise ValueError("write an IP or a network such as 10.0.0.0/8, or *") from None
    return network


def check_host(host: str) -> str:
    """Return the name of a host in lower case. Raise ValueError for anything else."""
    if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", host.lower()):
        raise ValueError("write a host such as api.example.com or *.example.com, without a port")
    return host.lower()


def check_root_path(path: str) -> str:
    """Return the prefix without a slash at its end. Raise ValueError for anything else."""
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", path):
        raise ValueError("write a path such as /api")
    return path.rstrip("/")


OriginList = Annotated[
    list[Annotated[str, AfterValidator(check_origin)]], NoDecode, BeforeValidator(split_list)
]
NetworkList = Annotated[
    list[Annotated[str, AfterValidator(check_network)]], NoDecode, BeforeValidator(split_list)
]
HostList = Annotated[
    list[Annotated[str, AfterValidator(check_host)]], NoDecode, BeforeValidator(split_list)
]


class WebSettings(BaseSettings):
    environment: Literal["development", "staging", "production"] = "production"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe records that are logged; those of libraries are never at DEBUG."""

    api_docs: bool | None = None
    """Serve /docs and /openapi.json; if unset, in development alone."""
    root_path: Annotated[str, AfterValidator(check_root_path)] = ""
    """The prefix, such as /api, that a proxy removes from the path."""
    allowed_hosts: HostList = []
    """Hosts that this service answers for, separated by commas; if unset, any."""
    cors_origins: OriginList = []
    """Origins whose pages may call this service from a browser, separated by commas."""
    forwarded_allow_ips: NetworkList = ["127.0.0.1", "::1"]
    """IPs or networks of the proxies whose `X-Forwarded-*` headers are trusted."""
    max_connections: int = Field(default=10_000, ge=1)
    """Maximum connections of each worker; more are refused with 503."""
    max_body_size: int = Field(default=1024 * 1024, ge=0)
    """Maximum bytes of a request body; a larger one is refused with 413."""
    max_json_size: int = Field(default=64 * 1024, ge=0)
    """Maximum bytes of JSON or a URL-encoded form, which are parsed at once."""
    body_timeout: float = Field(default=20.0, gt=0)
    """Seconds for a request body, and one more for each kilobyte; a slower one is refused (408)."""
    http_timeout: float = Field(default=5.0, gt=0)
    """Seconds for one step of an outbound HTTP request."""
    shutdown_delay: float = Field(default=1.0, ge=0)
    """Seconds for which requests are still taken after SIGTERM, while clients turn elsewhere."""
    shutdown_timeout: int = Field(default=20, ge=1)
    """Seconds for requests in flight after that."""

    @property
    def shows_docs(self) -> bool:
        return self.environment == "development" if self.api_docs is None else self.api_docs
