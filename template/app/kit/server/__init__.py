"""The production server: uvicorn, with bounds on what one client can make it hold."""

from app.kit.server.running import run_server, server_config

__all__ = ["run_server", "server_config"]
