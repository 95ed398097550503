"""A real server with real sockets: `TestClient` shows close codes that no server sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.application import create_app
from app.overrides import Override
from app.scopes import RootScope
from app.server import server_config
from app.settings import Settings
from app.websockets.manager import ConnectionManager
from tests.websockets.visitors import credentials


async def until(happened: Callable[[], object]) -> None:
    """Return once it has happened. Raises TimeoutError if it does not soon."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 (nobody sets an event for a test)
            await asyncio.sleep(0.01)


class Client:
    """A client of the service."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.name = ""

    async def send(self, **message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            message: dict[str, Any] = json.loads(await self.connection.recv())
            return message

    async def receive_texts(self, count: int) -> list[str]:
        return [(await self.receive())["text"] for _ in range(count)]

    async def closed(self) -> int:
        """Return the code with which the server closes."""
        async with asyncio.timeout(10):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as error:
                return error.rcvd.code if error.rcvd else 1006


class Server:
    """A served app."""

    def __init__(self, server: uvicorn.Server, settings: Settings, overrides: Sequence[Override]):
        self._server = server
        self._settings = settings
        self._overrides = overrides
        self._clients = AsyncExitStack()
        self.root_scope: RootScope = server.lifespan.state["root_scope"]
        self.url = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    async def connect(
        self,
        path: str = "/ws",
        *,
        subprotocols: Sequence[Subprotocol] | None = None,
        **options: Any,
    ) -> Client:
        """Return a client that is connected, and that has said nothing yet."""
        return Client(
            await self._clients.enter_async_context(
                connect(
                    f"ws://{self.url}{path}", subprotocols=subprotocols, close_timeout=1, **options
                )
            )
        )

    async def credentials(self) -> list[Subprotocol] | None:
        """Return the subprotocols with which somebody new connects."""
        return await credentials(self._settings, self._overrides)

    async def join(self, path: str = "/ws", **options: Any) -> Client:
        """Return a client of somebody new, in the room."""
        client = await self.connect(path, subprotocols=await self.credentials(), **options)
        ready = await client.receive()
        assert ready["type"] == "ready"
        client.name = ready["sender"]
        return client

    async def manager(self) -> ConnectionManager:
        async with self.root_scope.new_scope() as scope:
            return await scope.resolve(ConnectionManager)

    def stop(self) -> None:
        """Begin to stop, as SIGTERM does."""
        self._server.should_exit = True

    async def close(self) -> None:
        await self._clients.aclose()


Serve = Callable[..., Any]


@pytest.fixture
def serve(settings: Settings, overrides: list[Override]) -> Serve:
    """Serve an app; with settings that are changed as given."""

    @asynccontextmanager
    async def served(*more: Override, **changes: object) -> AsyncIterator[Server]:
        changed = settings.model_copy(update=changes)
        app = create_app(changed, [*overrides, *more])
        server = uvicorn.Server(server_config(changed, "127.0.0.1", 0, app=app))
        running = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        handle = Server(server, changed, overrides)
        try:
            yield handle
        finally:
            await handle.close()
            server.should_exit = True
            await running

    return served
