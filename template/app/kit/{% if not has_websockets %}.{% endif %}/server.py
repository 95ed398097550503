"""The production server and its options."""

import uvicorn

from app.kit.settings import KitSettings


def run_server(settings: KitSettings, host: str, port: int, workers: int) -> None:
    """Run until SIGTERM."""
    uvicorn.run(
        "app.main:app",
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
    )
