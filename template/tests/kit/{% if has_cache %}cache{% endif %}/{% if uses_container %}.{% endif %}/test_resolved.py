"""Cached routes whose objects the container makes from the request."""

from typing import Annotated

from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection

from app.kit.cache import cached
from app.kit.lifecycle import Resolve


async def test_key_depends_on_a_request_that_the_container_resolves(
    app: FastAPI, client: AsyncClient
) -> None:
    @app.get("/query")
    @cached(expire=60, public=True)
    async def query(connection: Annotated[HTTPConnection, Resolve(HTTPConnection)]) -> str:
        return connection.url.query

    for asked in ("x=1", "x=2"):
        assert (await client.get(f"/query?{asked}")).json() == asked
