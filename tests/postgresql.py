"""A PostgreSQL server for the template's own tests, started as rendered projects start theirs."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import asyncpg
import psutil

from tests import projects, tcp
from tests.variants import ROOT

SOURCE = (
    ROOT / "template/app/kit/development" / "{% if uses_postgresql %}.{% endif %}/postgresql.py"
)


def load() -> ModuleType:
    """Return the module of rendered projects."""
    return projects.load(SOURCE)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Yield the URL of a temporary server."""
    with load().running(folder, keep=False) as url:
        yield url


def forget(folder: Path) -> None:
    """Delete the data of a development server, which for root is outside the project."""
    server = load()._Server(folder, keep=True)
    shutil.rmtree(server.home, ignore_errors=True)
    shutil.rmtree(server.socket, ignore_errors=True)


def execute(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def new_database(server_url: str) -> str:
    """Return the URL of an empty database on a server."""
    name = f"service_{uuid4().hex}"  # rendered suites begin theirs with `test_`
    execute(server_url, f"CREATE DATABASE {name}")
    return server_url.replace("/postgres?", f"/{name}?")


class Server:
    """A server of one's own, to be frozen and killed."""

    def __init__(self, folder: Path) -> None:
        self._server = load()._Server(folder, keep=True)

    def start(self) -> None:
        os.close(self._server.start())

    def kill(self) -> None:
        """Kill all its processes, which have no time to clean up."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=20)

    def freeze(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        postmaster = int((self._server.data / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(postmaster)
        return [process, *process.children()]


@contextmanager
def own_server(folder: Path) -> Iterator[tuple[str, Server]]:
    """Yield the URL of a temporary server, which syncs to disk, and its faults."""
    with load().running(folder, keep=True) as url:
        server = Server(folder)
        try:
            yield url, server
        finally:
            server.kill()  # stopping it would sync all databases
    forget(folder)


class Proxy:
    """A TCP proxy in front of a server's Unix socket that can cut or swallow the traffic."""

    def __init__(self, url: str) -> None:
        self.socket = url.partition("?host=")[2] + "/.s.PGSQL.5432"
        self.passing = asyncio.Event()
        self.passing.set()
        self.writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Yield the port."""
        async with tcp.listening(self._connected) as port:
            yield port

    def swallow(self) -> None:
        """Drop all traffic and close nothing, like a partitioned network."""
        self.passing.clear()

    def heal(self) -> None:
        self.passing.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self.writers:
            writer.transport.abort()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server."""
        return await asyncio.open_unix_connection(self.socket)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.passing.wait()
        try:
            other_reader, other_writer = await self.connect()
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, other_writer}
        self.writers |= pair
        async with tcp.closing(other_writer):
            await asyncio.gather(
                tcp.copy(reader, other_writer, self.passing),
                tcp.copy(other_reader, writer, self.passing),
                return_exceptions=True,
            )
        self.writers -= pair
