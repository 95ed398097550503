"""TCP servers and proxies within a test."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


@asynccontextmanager
async def closing(writer: Writer) -> AsyncIterator[None]:
    """Close a connection in the end, or abort it where that cannot be waited for."""
    try:
        yield
        writer.close()
        await writer.wait_closed()
    finally:
        writer.transport.abort()


@asynccontextmanager
async def listening(
    connected: Callable[[Reader, Writer], Awaitable[None]], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Yield the port of a server that calls `connected` with each connection, then closes it.

    No connection outlives it. `asyncio.run` cancels what serves them, and on Python 3.11 nobody
    then closes the sockets: a warning would fail another test, whenever they are collected.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: Reader, writer: Writer) -> None:
        with suppress(OSError):  # the other side has gone
            async with closing(writer):
                await connected(reader, writer)

    def accept(reader: Reader, writer: Writer) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def copy(reader: Reader, writer: Writer, passing: asyncio.Event | None = None) -> None:
    """Send on what is read, while `passing` is set, and close the writer after the last of it."""
    try:
        while data := await reader.read(65536):
            if passing:
                await passing.wait()
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
