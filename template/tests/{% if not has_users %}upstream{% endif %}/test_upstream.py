"""The sample slice, with and without the other service."""

from unittest.mock import AsyncMock

from fastapi.testclient import TestClient
from httpx2 import AsyncClient, MockTransport, Request, Response

from app.application import create_app
from app.overrides import override
from app.settings import Settings
from app.upstream.client import UpstreamClient
from tests.helpers import open_client


async def test_the_whole_chain_over_a_fake_network(settings: Settings) -> None:
    """The HTTP client is replaced, and nothing else."""

    def answer(request: Request) -> Response:
        assert (request.method, str(request.url)) == ("HEAD", settings.upstream_url)
        return Response(204)

    async with AsyncClient(transport=MockTransport(answer)) as http_client:
        app = create_app(settings, [override(AsyncClient, http_client)])
        async with open_client(app) as client:
            response = await client.get("/upstream")
    assert response.status_code == 200
    assert response.json()["status"] == 204
    assert response.json()["duration_ms"] >= 0


def test_a_fake_in_one_line(settings: Settings) -> None:
    """Overriding an object by an `AsyncMock`."""
    fake = AsyncMock(spec=UpstreamClient)
    fake.status.return_value = 418
    with TestClient(create_app(settings, [override(UpstreamClient, fake)])) as client:
        assert client.get("/upstream").json()["status"] == 418


async def test_no_answer_is_503(client: AsyncClient) -> None:
    response = await client.get("/upstream")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["detail"] == "The other service does not answer."
