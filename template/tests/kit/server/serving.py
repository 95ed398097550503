"""A real server on a free port, and raw connections to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from app.kit.server import server_config
from app.settings import Settings

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def serving(
    app: FastAPI, settings: Settings, host: str = "127.0.0.1", *, stopping: bool = False
) -> AsyncIterator[int]:
    """Serve an app and yield the port. `stopping` is the state after SIGTERM."""
    config = server_config(settings, host, 0, app=app)
    config.stopping = stopping
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    running = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 (nothing sets an event)
            await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


class Raw:
    """A connection on which anything can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> bool:
        """Return whether the server still takes data."""
        try:
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), 1)
        except (OSError, TimeoutError):
            return False
        return not self.writer.is_closing()

    async def receive(self) -> bytes:
        """Return what the server sends until it closes the connection."""
        received = b""
        try:
            async with asyncio.timeout(10):
                while part := await self.reader.read(65536):
                    received += part
        except ConnectionError:
            pass
        return received

    async def status(self) -> int:
        """Return the status of the next response, 0 if the connection ends without one."""
        try:
            async with asyncio.timeout(10):
                line = await self.reader.readline()
        except ConnectionError:
            return 0
        return int(line.split()[1]) if line else 0


@asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1") -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
