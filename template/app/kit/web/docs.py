"""The page of the API documentation, which loads nothing from other hosts."""

from functools import cache
from importlib import resources

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, with the assets that the package `fastapi-swagger` brings."""
    app.get("/docs", include_in_schema=False)(docs)
    app.get("/docs/{name}", include_in_schema=False)(asset)


async def docs(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=f"{request.app.title} - API",
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url="data:,",
    )


async def asset(name: str) -> Response:
    if name not in _ASSETS:
        raise HTTPException(404)
    headers = {"Cache-Control": "max-age=86400"}
    return Response(_content(name), headers=headers, media_type=_ASSETS[name])


@cache
def _content(name: str) -> bytes:
    return (resources.files("fastapi_swagger") / "resources" / name).read_bytes()
