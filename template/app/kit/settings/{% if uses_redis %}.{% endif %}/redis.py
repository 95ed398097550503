"""Settings of Redis or Valkey."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

_SCHEMES = {scheme: scheme for scheme in ("redis", "rediss", "unix")}
_SCHEMES |= {"valkey": "redis", "valkeys": "rediss"}
_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
_TLS = _FILES | {"ssl_cert_reqs", "ssl_check_hostname"}
_FORM = (
    "write redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path?db=0, with "
    "special characters of a secret percent-encoded"
)


def check_redis_url(url: str) -> str:
    """Return the URL with what its clients would choose differently spelled out.

    Raise ValueError for a URL that one of them does not understand.
    """
    try:
        parts = urlsplit(url)
        scheme, place = _SCHEMES[parts.scheme], (parts.hostname, parts.port)
    except (KeyError, ValueError):
        raise ValueError(_FORM) from None  # the cause may quote a secret
    if parts.fragment or not (parts.path if scheme == "unix" else place[0]):
        raise ValueError(_FORM)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    allowed = {"db"} | (_TLS if scheme == "rediss" else set())
    if unknown := options.keys() - allowed:
        raise ValueError(f"{', '.join(unknown)}: the options are {', '.join(sorted(allowed))}")
    number = options.get("db", "" if scheme == "unix" else parts.path.strip("/"))
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError("write a number behind the host, such as /0")
    rest = url[len(parts.scheme) :]
    if scheme == "rediss":
        rest = f"{rest.partition('?')[0]}?{urlencode(options | _verification(options))}"
    return scheme + rest


def _verification(options: dict[str, str]) -> dict[str, str]:
    """Return how to verify the server. Raise ValueError for what TLS cannot use."""
    if missing := [name for name in _FILES & options.keys() if not Path(options[name]).is_file()]:
        raise ValueError(f"{', '.join(missing)}: there is no such file")
    verified = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if verified not in ("required", "none"):
        raise ValueError("ssl_cert_reqs: write required or none")
    if len({"ssl_certfile", "ssl_keyfile"} & options.keys()) == 1:
        raise ValueError("write both ssl_certfile and ssl_keyfile")
    # Not every client verifies the name of the host by default.
    checked = "true" if verified == "required" else "false"
    if options.get("ssl_check_hostname", checked).lower() != checked:
        raise ValueError(f"ssl_check_hostname: it is {checked} if ssl_cert_reqs is {verified}")
    return {"ssl_cert_reqs": verified, "ssl_check_hostname": checked}


RedisUrl = Annotated[str, AfterValidator(check_redis_url)]


class RedisSettings(BaseSettings):
    redis_url: RedisUrl = Field(repr=False)
    """`redis://user:password@host:6379/0`, `rediss://` for TLS, or `unix://` and a path."""
    redis_prefix: str = ""
    """The start of every key and channel; if unset, the service's slug and the environment."""
