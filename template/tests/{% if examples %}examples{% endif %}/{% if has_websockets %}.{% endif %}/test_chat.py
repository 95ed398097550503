"""A page, a client in a terminal, and an HTTP request that a room hears."""

import asyncio
import functools

import pytest
from httpx2 import AsyncClient

from app.examples.chat_client import chat, show
from tests.websockets.fixtures import Serve, until


async def test_the_page_is_served(client: AsyncClient) -> None:
    response = await client.get("/examples/chat")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "new WebSocket(" in response.text


async def test_an_announcement_is_heard_in_the_lobby(serve: Serve) -> None:
    async with serve() as server, AsyncClient(base_url=f"http://{server.url}") as http:
        client = await server.join()
        if protocols := await server.credentials():
            http.headers["Authorization"] = f"Bearer {protocols[1]}"
        response = await http.post("/examples/announcements", json={"text": "noon"})
        assert response.status_code == 202
        assert await client.receive_texts(1) == ["noon"]


async def test_the_client_talks_and_connects_again(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = ""

    def shows(text: str, times: int = 1) -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed.count(text) == times

    async with serve() as server:
        manager, other = await server.manager(), await server.join()
        typed: asyncio.Queue[str] = asyncio.Queue()
        protocols = await server.credentials()
        chatting = asyncio.create_task(chat(f"ws://{server.url}/ws", protocols, typed))
        for times, (code, text) in enumerate([(1013, "hello"), (4408, "again")], 1):
            await until(functools.partial(shows, "You are", times))
            await typed.put(text)
            assert await other.receive_texts(1) == [text]
            await until(functools.partial(shows, f": {text}"))
            (own,) = (each for each in manager.members("lobby") if each.name != other.name)
            own.close(code)
        with pytest.raises(ConnectionError, match="4408"):
            await chatting


def test_it_shows_what_else_it_hears(capsys: pytest.CaptureFixture[str]) -> None:
    show({"type": "resync"})
    show({"type": "error", "detail": "Something went wrong here."})
    show({"type": "pong"})
    shown = "(Messages may have been missed.)\n(Something went wrong here.)\n"
    assert capsys.readouterr().out == shown
