"""The production server and its options."""

import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from app.kit.settings import KitSettings

_TCP_USER_TIMEOUT_MILLISECONDS = 20_000


def server_config(
    settings: KitSettings,
    host: str,
    port: int,
    workers: int = 1,
    app: ASGIApp | str = "app.main:app",
) -> uvicorn.Config:
    """Return the server's configuration; only tests pass `app` as an object."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        workers=workers,
        # Without a bound, an endless stream keeps the process from stopping.
        timeout_graceful_shutdown=settings.shutdown_timeout,
        # Longer than a load balancer's usual 60 seconds, which then closes idle connections first.
        timeout_keep_alive=65,
        # Trust `X-Forwarded-For` from these proxies only: other clients could forge their IP.
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        # Do not reveal the server's name.
        server_header=False,
        # app.main configures logging in every worker; app.kit.web.context logs each request.
        log_config=None,
        access_log=False,
        lifespan="on",
        # The implementation that closes every socket with 1012 on SIGTERM.
        ws="websockets-sansio",
        # Refuse larger messages before they are in memory.
        ws_max_size=settings.websocket_max_message_size,
        # Detect lost clients, and keep proxies from closing idle connections.
        ws_ping_interval=settings.websocket_ping_interval,
        ws_ping_timeout=settings.websocket_ping_interval,
        # Compression takes about 40 kB more per connection.
        ws_per_message_deflate=False,
    )


def run_server(settings: KitSettings, host: str, port: int, workers: int) -> None:
    """Run until SIGTERM."""
    config = server_config(settings, host, port, workers)
    listener = config.bind_socket()
    if sys.platform == "linux":
        # The kernel aborts connections of stalled clients; closing them would wait for their reads.
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MILLISECONDS
        )
    if workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(3)
