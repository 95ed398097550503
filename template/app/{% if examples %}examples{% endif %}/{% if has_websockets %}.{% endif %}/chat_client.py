# ruff: noqa: T201 (it prints what it receives)
"""A client in a terminal: `uv run python -m app.examples.chat_client ws://127.0.0.1:8000/ws`.

Set `ACCESS_TOKEN` if the service asks for one. After a restart of the service or a network failure,
the client connects again, with growing delays.
"""

import asyncio
import json
import os
import random
import sys
import threading
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

_PING_INTERVAL_SECONDS = 300.0  # shorter than WEBSOCKET_IDLE_TIMEOUT
_MIN_DELAY_SECONDS, _MAX_DELAY_SECONDS = 0.5, 30.0


async def chat(url: str, protocols: list[Subprotocol] | None, typed: asyncio.Queue[str]) -> None:
    """Send what is typed and print what is received.

    Raise ConnectionError if the service closes the connection for good.
    """
    delay = _MIN_DELAY_SECONDS
    async for connection in connect(url, subprotocols=protocols):
        sending = asyncio.create_task(send(connection, typed))
        with suppress(ConnectionClosed):
            async for text in connection:
                show(json.loads(text))
                delay = _MIN_DELAY_SECONDS
        sending.cancel()
        if connection.close_code and connection.close_code >= 4000:
            raise ConnectionError(f"closed by the service: {connection.close_code}")
        await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 (not a secret)
        delay = min(2 * delay, _MAX_DELAY_SECONDS)


async def send(connection: ClientConnection, typed: asyncio.Queue[str]) -> None:
    """Send what is typed until the connection is closed, and a ping when nothing is typed."""
    while True:
        message = {"type": "ping"}
        with suppress(TimeoutError):
            async with asyncio.timeout(_PING_INTERVAL_SECONDS):
                message = {"type": "say", "text": await typed.get()}
        try:
            await connection.send(json.dumps(message))
        except ConnectionClosed:
            if "text" in message:
                typed.put_nowait(message["text"])  # for the next connection
            return


def show(message: dict[str, str]) -> None:
    match message:
        case {"type": "ready", "room": room, "sender": sender}:
            print(f"You are {sender} in {room}.")
        case {"type": "said", "sender": sender, "text": text}:
            print(f"{sender}: {text}")
        case {"type": "resync"}:
            print("(Messages may have been lost.)")
        case {"type": "error", "detail": detail}:
            print(f"({detail})")


async def main() -> None:
    typed: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(typed.put_nowait, line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/ws"
    token = os.environ.get("ACCESS_TOKEN")
    protocols = [Subprotocol("bearer"), Subprotocol(token)] if token else None
    await chat(url, protocols, typed)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
