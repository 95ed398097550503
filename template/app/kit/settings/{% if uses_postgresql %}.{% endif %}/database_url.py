"""PostgreSQL URLs as providers write them: the parameters of libpq, for the service's driver.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import re
import ssl
from typing import Any, NamedTuple

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVER = "postgresql+asyncpg"
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
_FILES = ("sslrootcert", "sslcert", "sslkey")
_HOSTS = ("host", "port")  # several servers, or the folder of a socket
_HARMLESS = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "sslcompression": ("0",),
    "sslnegotiation": ("postgres",),
}
"""Values that ask for what the driver does anyway."""


class Connecting(NamedTuple):
    """How the driver connects."""

    url: URL
    arguments: dict[str, Any]
    server_settings: dict[str, str]


def check_database_url(url: str) -> str:
    """Return a PostgreSQL URL with the driver of this service. Raise ValueError for other URLs."""
    if not re.match(r"postgres(ql)?(\+asyncpg)?://", url):
        raise ValueError("write postgresql://user:password@host:5432/database")
    url = re.sub(r"^postgres(ql)?(\+asyncpg)?://", f"{_DRIVER}://", url)
    try:
        make_url(url)
    except (ArgumentError, ValueError):  # whose message may have a part of the password
        remedy = "write postgresql://user:password@host:5432/database, percent-encoded"
        raise ValueError(remedy) from None
    try:
        parse_database_url(url)
    except OSError as error:
        raise ValueError(f"this URL cannot be used: {type(error).__name__}") from None
    return url


def parse_database_url(url: str) -> Connecting:
    """Return how the driver connects. Raise ValueError for a parameter that it cannot honour."""
    parsed = make_url(url)
    found = {
        name: value if isinstance(value, str) else value[-1]
        for name, value in parsed.query.items()
        if name not in _HOSTS
    }
    arguments: dict[str, Any] = {}
    server_settings: dict[str, str] = {}
    if "ssl" in found:  # the driver's own name for it
        found["sslmode"] = found.pop("ssl")
    files = {name: found.pop(name) for name in _FILES if name in found}
    if mode := found.pop("sslmode", "verify-full" if "sslrootcert" in files else ""):
        if mode not in _SSL_MODES:
            raise ValueError(f"sslmode is one of: {', '.join(_SSL_MODES)}")
        needs_context = "verify" in mode or (files and mode == "require")
        arguments["ssl"] = _ssl_context(mode, files) if needs_context else mode
    if timeout := found.pop("connect_timeout", ""):
        if not timeout.isdecimal() or not int(timeout):
            raise ValueError("connect_timeout is in whole seconds, at least 1")
        arguments["timeout"] = float(timeout)
    if target := found.pop("target_session_attrs", ""):
        if target not in _SESSION_ATTRS:
            raise ValueError(f"target_session_attrs is one of: {', '.join(_SESSION_ATTRS)}")
        arguments["target_session_attrs"] = target
    for name in ("application_name", "options"):
        if name in found:
            server_settings[name] = found.pop(name)
    for name, value in found.items():
        if value not in _HARMLESS.get(name, ()):
            raise ValueError(f"{name} cannot be honoured by this driver: leave it out")
    query = {name: value for name, value in parsed.query.items() if name in _HOSTS}
    return Connecting(parsed.set(query=query), arguments, server_settings)


def _ssl_context(mode: str, files: dict[str, str]) -> ssl.SSLContext:
    authorities = files.get("sslrootcert")
    context = ssl.create_default_context(cafile=None if authorities == "system" else authorities)
    if mode != "verify-full":
        context.check_hostname = False
    if mode not in ("verify-ca", "verify-full") and authorities is None:
        context.verify_mode = ssl.CERT_NONE
    if certificate := files.get("sslcert"):
        context.load_cert_chain(certificate, files.get("sslkey"))
    return context
