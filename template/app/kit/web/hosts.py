"""Refuses requests for other hosts: redirects and origin checks trust the `Host` header."""

from collections.abc import Iterator

from fastapi.middleware import Middleware
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.web.problems import problem

_HEALTH_CHECKS = ("/livez", "/readyz")  # orchestrators ask for them by IP


def allowed_hosts(hosts: list[str]) -> Iterator[Middleware]:
    """Yield the middleware that refuses requests for other hosts, if hosts are given."""
    if hosts:
        yield Middleware(AllowedHosts, hosts=hosts)


class AllowedHosts:
    """Pure ASGI middleware. Respond 400 unless the host is one of `hosts`.

    `*.example.com` matches every subdomain. Health checks are answered for any host.
    """

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.names = {host for host in hosts if not host.startswith("*.")}
        self.suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        is_checked = scope["type"] != "lifespan" and path not in _HEALTH_CHECKS
        if not is_checked or self._allows(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
        else:
            response = problem(400, "This host is not served here; see ALLOWED_HOSTS.")
            await response(scope, receive, send)

    def _allows(self, host: str) -> bool:
        name = host if host.endswith("]") else host.rpartition(":")[0] or host  # without the port
        name = name.lower().removesuffix(".")
        return name in self.names or name.endswith(self.suffixes)
