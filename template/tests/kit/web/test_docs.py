"""The API documentation, and the service behind a prefix."""

import re

import pytest
from fastapi.testclient import TestClient

from app.application import create_app
from app.kit.lifecycle import Override
from app.settings import Settings
from tests.kit.helpers import GivenSettings


def open_app(
    settings: Settings, overrides: list[Override], root_path: str = "", **changes: object
) -> TestClient:
    changed = GivenSettings(**{**settings.model_dump(), **changes})
    return TestClient(create_app(changed, overrides), root_path=root_path)


@pytest.mark.parametrize(
    ("environment", "api_docs", "status"),
    [
        ("production", None, 404),
        ("development", None, 200),
        ("production", True, 200),
        ("development", False, 404),
    ],
)
def test_docs_are_a_setting(
    settings: Settings,
    overrides: list[Override],
    environment: str,
    api_docs: bool | None,
    status: int,
) -> None:
    with open_app(settings, overrides, environment=environment, api_docs=api_docs) as client:
        for path in ("/docs", "/openapi.json", "/docs/swagger-ui.css"):
            assert client.get(path).status_code == status
        assert client.get("/redoc").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/api", "/a/b"])
def test_page_loads_nothing_from_other_hosts(
    settings: Settings, overrides: list[Override], prefix: str
) -> None:
    """The proxy removes the prefix, and may replace the host."""
    with open_app(settings, overrides, api_docs=True, root_path=prefix) as client:
        page = client.get("/docs", headers={"Host": "internal:8000"}).text
        found = re.findall(r"(?:src|href)=\"(.*?)\"|url: '(.*?)'", page)
        urls = {script or document for script, document in found} - {"data:,"}
        assert len(urls) == 3
        for url in urls:
            assert url.startswith(f"{prefix}/")
            response = client.get(url.removeprefix(prefix.rstrip("/")))
            assert response.status_code == 200
            assert len(response.content) > 500
        assert client.get("/docs/other.js").status_code == 404


def test_prefix_is_the_server_of_the_document(
    settings: Settings, overrides: list[Override]
) -> None:
    with open_app(settings, overrides, api_docs=True, root_path="/api") as client:
        document = client.get("/openapi.json").json()
        assert document["servers"] == [{"url": "/api"}]
        assert "/livez" in document["paths"]
        response = client.delete("/livez")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


def test_no_redirect_names_the_host(settings: Settings, overrides: list[Override]) -> None:
    with open_app(settings, overrides) as client:
        assert client.get("/livez/", follow_redirects=False).status_code == 404
