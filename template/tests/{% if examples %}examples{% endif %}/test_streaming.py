"""A streamed response."""

import logging

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.examples.serving import serve


async def test_chunks_are_sent_at_once_until_the_client_disconnects(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serve(app) as url,
        AsyncClient(base_url=url) as client,
        client.stream("GET", "/examples/stream") as response,
    ):
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await anext(response.aiter_lines()) == "data chunk 0"  # ten seconds before the last
    wrong = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert not wrong, "the server had to cancel it"
