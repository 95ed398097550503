"""The client of another service that works, fails for a while or does not answer."""

import asyncio

import pytest
from httpx2 import AsyncClient, ConnectError, MockTransport, Request, Response
from starlette.types import Receive, Scope, Send

from app.application import open_root_scope
from app.examples import external_api
from app.examples.external_api import ExternalApi
from app.kit.errors import Unavailable
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.examples.serving import serve


async def test_requests_share_one_connection(settings: Settings, overrides: list[Override]) -> None:
    """Each request has a scope of its own and uses the real client."""
    connections = []

    async def other_service(scope: Scope, receive: Receive, send: Send) -> None:
        connections.append(scope["client"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    real_client = [each for each in overrides if each.service is not AsyncClient]
    async with (
        serve(other_service, lifespan="off") as url,
        open_root_scope(settings, real_client) as root_scope,
    ):
        for _ in range(20):
            async with root_scope.new_scope() as scope:
                api = ExternalApi(await scope.resolve(AsyncClient), url)
                assert await api.check_health() == 204
    assert (len(connections), len(set(connections))) == (20, 1)


HANGS = -1


def api(*answers: int | Exception) -> ExternalApi:
    """Return a client of a service that gives these answers."""
    coming = iter(answers)

    async def answer(request: Request) -> Response:
        status = next(coming)
        if isinstance(status, Exception):
            raise status
        if status == HANGS:
            await asyncio.sleep(60)
        return Response(status)

    return ExternalApi(AsyncClient(transport=MockTransport(answer)), "http://other.example")


@pytest.mark.parametrize("fault", [503, HANGS, ConnectError("refused")])
async def test_failed_attempts_are_retried_up_to_a_limit(
    fault: int | Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(external_api, "_ATTEMPT_TIMEOUT_SECONDS", 0.05)
    assert await api(fault, fault, 200).check_health() == 200
    with pytest.raises(Unavailable):
        await api(fault, fault, fault, 200).check_health()
    [message] = caplog.messages
    assert message.startswith("no answer from http://other.example: ")


async def test_client_error_is_not_retried() -> None:
    assert await api(404, 200).check_health() == 404


async def test_service_that_is_down_is_503(client: AsyncClient) -> None:
    response = await client.get("/examples/external-health")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["detail"] == "The other service does not answer."
