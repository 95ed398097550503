"""A real server with real sockets: `TestClient` shows close codes that no server sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.application import create_app
from app.kit.lifecycle import Override, RootScope
from app.kit.server import server_config
from app.kit.websockets import Hub, SocketEndpoint
from app.settings import Settings
from tests.kit.websockets.talk import TalkEndpoint, talk_router


async def until(happened: Callable[[], object]) -> None:
    """Return once `happened()` is true. Raise TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 (nothing sets an event)
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
        """Return the server's close code."""
        async with asyncio.timeout(10):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as error:
                return error.rcvd.code if error.rcvd else 1006


class Server:
    """A running service."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self._clients = AsyncExitStack()
        self.root_scope: RootScope = server.lifespan.state["root_scope"]
        self.url = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    async def connect(
        self, path: str = "/talk/lobby", *, token: str | None = None, **options: Any
    ) -> Client:
        """Return a client that is connected. Its token is sent as a subprotocol."""
        if token is not None:
            options["subprotocols"] = [Subprotocol("bearer"), Subprotocol(token)]
        connecting = connect(f"ws://{self.url}{path}", close_timeout=1, **options)
        return Client(await self._clients.enter_async_context(connecting))

    async def join(self, path: str = "/talk/lobby", **options: Any) -> Client:
        """Return a client that has entered its room."""
        client = await self.connect(path, **options)
        ready = await client.receive()
        assert ready["type"] == "ready"
        client.name = ready["sender"]
        return client

    async def hub(self) -> Hub:
        async with self.root_scope.new_scope() as scope:
            return await scope.resolve(Hub)

    def stop(self) -> None:
        """Begin to stop, as on SIGTERM."""
        self._server.should_exit = True

    async def close(self) -> None:
        await self._clients.aclose()


Serve = Callable[..., Any]


@pytest.fixture
def serve(settings: Settings, overrides: list[Override]) -> Serve:
    """Run the app with changed settings, more overrides and an endpoint at `/talk/{room}`."""

    @asynccontextmanager
    async def run(
        *more: Override, endpoint: SocketEndpoint | None = None, **changes: object
    ) -> AsyncIterator[Server]:
        changed = settings.model_copy(update=changes)
        app = create_app(changed, [*overrides, *more])
        app.include_router(talk_router(endpoint or TalkEndpoint()))
        server = uvicorn.Server(server_config(changed, "127.0.0.1", 0, app=app))
        running = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        handle = Server(server)
        try:
            yield handle
        finally:
            await handle.close()
            server.should_exit = True
            await running

    return run
