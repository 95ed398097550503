"""Connections end with the servers of the tests."""

import asyncio
import gc
import ssl
from contextlib import suppress

import pytest
import trustme

from tests import tcp


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a client for as long as it waits."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("is_secured", [False, True])
def test_no_connection_outlives_its_server(is_secured: bool) -> None:
    """A socket that is collected before it is closed would be a warning, and an error here."""
    served, trusting = None, None
    if is_secured:
        authority = trustme.CA()
        served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(served)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)

    async def visit() -> None:
        async with tcp.listening(never, served) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            _, gone = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            gone.transport.abort()
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.transport.abort()

    asyncio.run(visit())
    gc.collect()
