"""The shell around every route: request ids, errors, headers, limits, logs."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.application import create_app
from app.kit.errors import NotAllowed, NotFound, ServiceError, Unavailable, raises
from app.kit.logs import JsonFormatter, PlainFormatter
from app.kit.web.problems import MEDIA_TYPE
from app.settings import Settings
from tests.kit.helpers import GivenSettings

ORIGIN = "https://pages.example"


class Dark(BaseModel):
    kind: Literal["dark"]


class Light(BaseModel):
    kind: Literal["light"]


def must_be_even(number: int) -> int:
    if number % 2:
        raise ValueError("choose one of: 2, 4, or 6")
    return number


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: int
    id: UUID | None = None
    theme: Annotated[Dark | Light, Field(discriminator="kind")] | None = None
    even: Annotated[int, AfterValidator(must_be_even)] = 2
    day: Annotated[date, BeforeValidator(date.fromisoformat)] | None = None


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changes = {"max_body_size": 100, "cors_origins": [ORIGIN]}
    return GivenSettings(**{**settings.model_dump(), **changes})


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The app with routes that go wrong."""

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("the inside")

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a part"
            raise RuntimeError("the inside")

        return StreamingResponse(parts())

    @app.post("/echo")
    async def echo(body: Body) -> int:
        return body.secret

    @app.get("/fails/{kind}")
    @raises(NotFound, NotAllowed, Unavailable, ServiceError, 499)
    async def fails(kind: str) -> None:
        kinds = {"not-found": NotFound, "not-allowed": NotAllowed, "unavailable": Unavailable}
        if kind == "unregistered":
            raise HTTPException(499, "said to the caller")
        raise kinds.get(kind, ServiceError)("said to the caller")

    @app.get("/public")
    async def public(response: Response) -> None:
        response.headers["Cache-Control"] = "public"

    return app


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/livez", None, 200),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/livez", None, 405),
        ("POST", "/echo", b"x" * 101, 413),
        ("POST", "/echo", b"{}", 422),
        ("GET", "/boom", None, 500),
    ],
)
def test_every_response_has_its_headers(
    sync_client: TestClient, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"Origin": ORIGIN, "X-Request-ID": "abc-1"}
    response = sync_client.request(method, path, content=body, headers=headers)
    assert response.status_code == status
    assert response.headers["X-Request-ID"] == "abc-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    if status >= 400:
        assert response.headers["Content-Type"] == MEDIA_TYPE
        problem = response.json()
        assert problem["status"] == status
        assert problem["request_id"] == "abc-1"
        assert problem["title"]


@pytest.mark.parametrize("sent", ["", "with space", "x" * 129, "é", "a\tb"])
def test_an_ill_formed_request_id_is_replaced(sync_client: TestClient, sent: str) -> None:
    headers = [(b"x-request-id", sent.encode())]
    request_id = sync_client.get("/livez", headers=headers).headers["X-Request-ID"]
    assert request_id != sent
    assert len(request_id) == 32


def test_unexpected_error_leaks_no_internals(
    sync_client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = sync_client.get("/boom")
    assert "inside" not in response.text
    [record] = [each for each in caplog.records if each.exc_info]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the inside"


def test_error_during_a_stream_ends_it(sync_client: TestClient) -> None:
    with pytest.raises(RuntimeError, match="the inside"):
        sync_client.get("/broken-stream")


def test_validation_error_does_not_repeat_the_input(sync_client: TestClient) -> None:
    response = sync_client.post("/echo", json={"secret": "hunter2"})
    assert response.status_code == 422
    assert "hunter2" not in response.text
    [error] = response.json()["errors"]
    assert error["location"] == ["body", "secret"]
    changes: list[dict[str, object]] = [{"hunter2": 1}, {"id": "hunter2"}, {"day": "hunter2"}]
    changes.append({"theme": {"kind": "hunter2"}})
    for change in changes:
        response = sync_client.post("/echo", json={"secret": 1, **change})
        assert response.status_code == 422
        assert "hunter2" not in response.text
        assert "`h`" not in response.text


def test_message_of_a_validator_is_returned_as_it_is(sync_client: TestClient) -> None:
    response = sync_client.post("/echo", json={"secret": 1, "even": 3})
    [error] = response.json()["errors"]
    assert error["detail"] == "choose one of: 2, 4, or 6"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("not-found", 404),
        ("not-allowed", 403),
        ("unavailable", 503),
        ("x", 400),
        ("unregistered", 499),
    ],
)
def test_errors_of_services(sync_client: TestClient, kind: str, status: int) -> None:
    response = sync_client.get(f"/fails/{kind}")
    assert response.status_code == status
    assert response.json()["detail"] == "said to the caller"
    own = kind in ("not-found", "not-allowed", "unavailable")
    assert response.json()["type"] == (f"/problems/{kind}" if own else "about:blank")
    assert ("Retry-After" in response.headers) == (status == 503)


def test_405_names_every_method_of_the_path(app: FastAPI) -> None:
    for method in ("GET", "PUT"):
        app.add_api_route("/things/{name}", lambda name: name, methods=[method], name=method)
    with TestClient(app) as client:
        response = client.delete("/things/one")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, PUT")


def test_a_body_is_bounded_with_and_without_its_length(sync_client: TestClient) -> None:
    def in_parts() -> list[bytes]:
        return [b" " * 60, b" " * 60]

    sync_client.headers["Content-Type"] = "application/json"
    assert sync_client.post("/echo", content=b" " * 101).status_code == 413
    assert sync_client.post("/echo", content=iter(in_parts())).status_code == 413
    assert sync_client.post("/echo", content=b'{"secret": 1}'.ljust(100)).json() == 1


def test_a_route_decides_its_own_caching(sync_client: TestClient) -> None:
    assert sync_client.get("/public").headers["Cache-Control"] == "public"
    assert sync_client.get("/livez").headers["Cache-Control"] == "no-store"


def test_a_foreign_origin_is_not_allowed(sync_client: TestClient) -> None:
    response = sync_client.get("/livez", headers={"Origin": "https://foreign.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_one_log_line_a_request_without_its_query(
    sync_client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.requests")
    sync_client.get("/livez?token=secret", headers={"X-Request-ID": "abc-1"})
    [record] = [each for each in caplog.records if each.name == "app.requests"]
    assert {"method": "GET", "path": "/livez", "status": 200}.items() <= record.__dict__.items()
    assert "secret" not in repr(record.__dict__)


def test_a_client_cannot_forge_a_log_line() -> None:
    record = logging.LogRecord("name", logging.INFO, "", 1, "request", (), None)
    record.path = "/\n12:00:00 INFO forged\x1b[2K"
    assert PlainFormatter().format(record).endswith(r"path='/\n12:00:00 INFO forged\x1b[2K'")
    assert "\n" not in JsonFormatter().format(record)


def test_log_lines_are_json_with_extras_and_exceptions() -> None:
    try:
        raise RuntimeError("why")
    except RuntimeError as error:
        record = logging.LogRecord(
            "name",
            logging.INFO,
            "",
            1,
            "said %s",
            ("so",),
            (RuntimeError, error, error.__traceback__),
        )
    record.user_id = 7
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["user_id"], line["level"]) == ("said so", 7, "INFO")
    assert "RuntimeError: why" in line["exception"]
    assert "said so  user_id=7" in PlainFormatter().format(record)


def test_the_log_carries_the_request_id(settings: Settings) -> None:
    """Also in what is logged deep inside."""
    app = create_app(settings)
    seen: list[str] = []

    @app.get("/logs")
    async def logs() -> None:
        record = logging.LogRecord("name", logging.INFO, "", 1, "deep inside", (), None)
        seen.append(json.loads(JsonFormatter().format(record))["request_id"])

    with TestClient(app) as client:
        client.get("/logs", headers={"X-Request-ID": "abc-1"})
    assert seen == ["abc-1"]
