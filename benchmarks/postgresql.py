"""One PostgreSQL for all subjects, on a port: not each of them can use a Unix socket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.postgresql import execute, load
from tests.servers import free_port


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Yield the URL of a server that does not wait for the disk: that would cost all the same."""
    module = load()
    with module.running(folder, keep=False):
        server, port = module._Server(folder, keep=False), free_port()
        server.binaries = module._binaries(server.data, as_root=server.user is not None)
        options = f"-k {server.socket} -p {port} -c listen_addresses=127.0.0.1 {module._FAST}"
        log = str(server.home / "log")
        server._run("pg_ctl", "restart", "-w", "-l", log, "-o", f"{options} -c max_connections=400")
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def new_database(server_url: str, name: str) -> str:
    """Return the URL of an empty database on a server."""
    execute(server_url, f"CREATE DATABASE {name}")
    return server_url.removesuffix("postgres") + name


def fetch(url: str, query: str) -> Any:
    """Return the one value that a query finds."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())
