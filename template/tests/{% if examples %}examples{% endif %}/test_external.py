"""Another service: a real one, one that fails for a while, and one that does not answer."""

import asyncio

import pytest
from httpx2 import AsyncClient, ConnectError, MockTransport, Request, Response
from starlette.types import Receive, Scope, Send

from app.errors import Unavailable
from app.examples import external_api
from app.examples.external_api import ExternalApi
from app.overrides import Override
from app.settings import Settings
from app.wiring import open_root_scope
from tests.examples.serving import serve


async def test_many_requests_go_over_one_connection(
    settings: Settings, overrides: list[Override]
) -> None:
    """Each in a scope of its own, with the app's own client."""
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
                assert await api.health() == 204
    assert (len(connections), len(set(connections))) == (20, 1)


HANGS = -1


def api(*answers: int | Exception) -> ExternalApi:
    """Return one whose other side answers so, in turn."""
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
async def test_it_tries_again_and_not_for_ever(
    fault: int | Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(external_api, "_TIMEOUT", 0.05)
    assert await api(fault, fault, 200).health() == 200
    with pytest.raises(Unavailable):
        await api(fault, fault, fault, 200).health()
    [message] = caplog.messages
    assert message.startswith("no answer from http://other.example: ")


async def test_what_is_the_callers_fault_is_not_tried_again() -> None:
    assert await api(404, 200).health() == 404


async def test_a_service_that_is_down_is_a_problem(client: AsyncClient) -> None:
    response = await client.get("/examples/external-health")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["detail"] == "The other service does not answer."
