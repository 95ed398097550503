"""The sample slice."""

from unittest.mock import AsyncMock

from fastapi.testclient import TestClient
from httpx2 import AsyncClient, MockTransport, Request, Response

from app.application import create_app
from app.kit.lifecycle import override
from app.settings import Settings
from app.upstream.client import UpstreamClient
from tests.kit.helpers import open_client


async def test_check_calls_the_other_service(settings: Settings) -> None:
    """Only the HTTP client is a fake."""

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


def test_client_can_be_replaced_by_a_mock(settings: Settings) -> None:
    fake = AsyncMock(spec=UpstreamClient)
    fake.get_status.return_value = 418
    with TestClient(create_app(settings, [override(UpstreamClient, fake)])) as client:
        assert client.get("/upstream").json()["status"] == 418


async def test_unreachable_service_is_503(client: AsyncClient) -> None:
    response = await client.get("/upstream")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["detail"] == "The other service does not answer."
