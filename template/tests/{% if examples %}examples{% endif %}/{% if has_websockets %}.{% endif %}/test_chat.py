"""The chat page, the client in a terminal, and a route that sends to a room."""

import asyncio
import functools

import pytest
from httpx2 import AsyncClient
from websockets.typing import Subprotocol

from app.examples.chat_client import chat, show
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.websockets.fixtures import Serve, until
from tests.rooms.clients import new_token


@pytest.fixture
async def token(settings: Settings, overrides: list[Override]) -> str | None:
    return await new_token(settings, overrides)


async def test_page_is_served(client: AsyncClient) -> None:
    response = await client.get("/examples/chat")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "new WebSocket(" in response.text


async def test_announcement_is_sent_to_the_lobby(serve: Serve, token: str | None) -> None:
    async with serve() as server, AsyncClient(base_url=f"http://{server.url}") as http:
        client = await server.join("/ws", token=token)
        if token is not None:
            http.headers["Authorization"] = f"Bearer {token}"
        response = await http.post("/examples/announcements", json={"text": "noon"})
        assert response.status_code == 202
        assert await client.receive_texts(1) == ["noon"]


async def test_client_sends_and_connects_again(
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    token: str | None,
    settings: Settings,
    overrides: list[Override],
) -> None:
    printed = ""

    def shows(text: str, times: int = 1) -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed.count(text) == times

    async with serve() as server:
        hub = await server.hub()
        other = await server.join("/ws", token=await new_token(settings, overrides))
        typed: asyncio.Queue[str] = asyncio.Queue()
        protocols = [Subprotocol("bearer"), Subprotocol(token)] if token else None
        chatting = asyncio.create_task(chat(f"ws://{server.url}/ws", protocols, typed))
        for times, (code, text) in enumerate([(1013, "hello"), (4408, "again")], 1):
            await until(functools.partial(shows, "You are", times))
            await typed.put(text)
            assert await other.receive_texts(1) == [text]
            await until(functools.partial(shows, f": {text}"))
            (own,) = (each for each in hub.members("lobby") if each.name != other.name)
            own.close(code)
        with pytest.raises(ConnectionError, match="4408"):
            await chatting


def test_client_shows_other_messages(capsys: pytest.CaptureFixture[str]) -> None:
    show({"type": "resync"})
    show({"type": "error", "detail": "Internal error."})
    show({"type": "pong"})
    assert capsys.readouterr().out == "(Messages may have been lost.)\n(Internal error.)\n"
