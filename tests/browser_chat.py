"""The chat page in two tabs of a real browser. `nox -s browser` runs this; it needs Chromium."""

import asyncio
import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.conftest import Rendered, ServiceSettings, as_parameter
from tests.projects import run
from tests.servers import PASSWORD, SERVE, Service, free_port, start
from tests.variants import Answers, focused

RECORD_STATES = """
window.states = []
const state = document.querySelector('#state')
new MutationObserver(() => states.push(state.innerText)).observe(state, {childList: true})
"""
VARIANTS = [
    *focused(websockets="memory", examples=True),
    *focused(websockets="redis", examples=True, database="sqlite"),
]


class Tab:
    """A tab, driven over the Chrome DevTools Protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    async def evaluate(self, script: str) -> Any:
        """Return the result of a script. Raise AssertionError if it throws."""
        parameters = {"expression": script, "awaitPromise": True, "returnByValue": True}
        command = {"id": next(self._ids), "method": "Runtime.evaluate", "params": parameters}
        await self._connection.send(json.dumps(command))
        while (answer := json.loads(await self._connection.recv())).get("id") != command["id"]:
            pass
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")

    async def until(self, script: str, seconds: float = 30) -> None:
        """Wait until a script returns a true value. Raise AssertionError on timeout."""
        deadline = time.monotonic() + seconds
        while not await self.evaluate(script):
            assert time.monotonic() < deadline, await self.evaluate("document.body.innerText")
            await asyncio.sleep(0.05)

    async def say(self, text: str) -> None:
        form = "document.querySelector('#say')"
        await self.evaluate(f"{form}.text.value = {json.dumps(text)}; {form}.requestSubmit()")


@contextmanager
def browser(folder: Path) -> Iterator[str]:
    """Run a headless browser; yield the URL of its debugger."""
    command = shutil.which("chromium") or shutil.which("google-chrome")
    assert command, "install Chromium, for instance with `apt-get install chromium`"
    port = free_port()
    options = [
        "--headless=new",
        "--no-sandbox",
        f"--remote-debugging-port={port}",
        f"--user-data-dir={folder}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, *options, "about:blank"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@asynccontextmanager
async def open_tab(debugger: str, url: str) -> AsyncIterator[Tab]:
    async with httpx2.AsyncClient() as client:
        for _ in range(300):
            try:
                target = (await client.put(f"{debugger}/json/new?{url}")).json()
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.1)
    async with connect(target["webSocketDebuggerUrl"], max_size=None) as connection:
        tab = Tab(connection)
        await tab.until("document.readyState === 'complete' && document.querySelector('#say')")
        yield tab


@pytest.mark.parametrize("variant", [as_parameter(each) for each in VARIANTS], indirect=True)
def test_two_tabs_chat(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, tmp_path: Path
) -> None:
    project = installed(**variant)
    settings = settings_of(variant)
    if variant["database"] != "none":
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)

    async def talk(service: Service, debugger: str) -> None:
        url = f"{service.url}/examples/chat"
        async with open_tab(debugger, url) as one, open_tab(debugger, url) as other:
            for number, tab in enumerate((one, other)):
                if variant["database"] != "none":
                    await sign_in(service, tab, f"{number}@example.com")
                await tab.until("document.querySelector('#state').innerText.endsWith('in lobby')")
            await one.say("hello <b>from one</b>")
            await other.say("hello from the other")
            for tab in (one, other):
                for text in ("hello <b>from one</b>", "hello from the other"):
                    await tab.until(
                        f"document.querySelector('#messages').innerText.includes({json.dumps(text)})"
                    )
                assert await tab.evaluate("document.querySelectorAll('#messages b').length") == 0
            await one.evaluate(RECORD_STATES)
            service.process.send_signal(signal.SIGTERM)
            await one.until("states.includes('closed: 1012')")

    with (
        start(project, *SERVE, settings=settings) as service,
        browser(tmp_path) as debugger,
    ):
        asyncio.run(talk(service, debugger))
        assert service.process.wait(30) in (0, -15, 143)
        assert not service.errors()


async def sign_in(service: Service, tab: Tab, email: str) -> None:
    """Register and submit the form, first with a wrong password."""
    async with httpx2.AsyncClient(base_url=service.url, timeout=30) as client:
        await client.post("/register", json={"email": email, "password": PASSWORD})
    form = "document.querySelector('#sign-in')"
    for password in ("wrong", PASSWORD):
        script = f"{form}.username.value = '{email}'; {form}.password.value = '{password}'"
        await tab.evaluate(f"{script}; {form}.requestSubmit()")
        if password == "wrong":
            await tab.until("document.querySelector('#state').innerText.startsWith('Wrong')")
