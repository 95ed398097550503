"""The OpenAPI document: stable operation ids, and problems (RFC 9457) as every route's error response."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.web.problems import MEDIA_TYPE

_STRING = {"type": "string"}
_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": _STRING,
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": _STRING,
        "request_id": _STRING,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "location": {"type": "array", "items": _STRING},
                    "detail": _STRING,
                    "type": _STRING,
                },
            },
        },
    },
}

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def operation_id(route: APIRoute) -> str:
    """Return `tag_function`, so that a generated client has readable, stable names."""
    return "_".join([*(str(tag) for tag in route.tags[:1]), route.name])


class App(FastAPI):
    """FastAPI whose OpenAPI document defines what `PROBLEM_RESPONSES` refers to."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _PROBLEM
        return super().openapi()
