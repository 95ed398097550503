"""Return every error as a problem (RFC 9457) with the request id; never leak internals."""

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.errors import InvalidRequest, InvalidText, ServiceError
from app.kit.logs import request_id_var

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
_MAX_NAME_LENGTH = 100  # of a name that the client sent
_REGISTERED = {int(status) for status in HTTPStatus}


def phrase(status: int) -> str:
    """Return the name of a status, "Error" if it is not registered."""
    return HTTPStatus(status).phrase if status in _REGISTERED else "Error"


def problem(
    status: int,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    type_: str = "about:blank",
    **members: Any,
) -> Response:
    """Return a problem response; `members` are extension members (RFC 9457, 3.2)."""
    body = {
        "type": type_,
        "title": phrase(status),
        "status": status,
        "detail": detail,
        "request_id": request_id_var.get(),
        **members,
    }
    content = json.dumps({name: value for name, value in body.items() if value is not None})
    return Response(content, status, headers, MEDIA_TYPE)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes of the path; FastAPI's `Allow` has those of the first."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    routes = iter_route_contexts(request.app.routes)
    return {
        method
        for route in routes
        if (pattern := getattr(route, "path_regex", None)) and pattern.match(path)
        for method in route.methods or ()
    }


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code < 200 or error.status_code in (204, 205, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    headers = dict(error.headers or {})
    if error.status_code == 405:  # RFC 9110, 15.5.6
        allowed = {method.strip() for method in headers.get("Allow", "").split(",")} - {""}
        allowed |= _methods(request)
        allowed |= {"HEAD"} if "GET" in allowed else set()
        headers["Allow"] = ", ".join(sorted(allowed))
    is_default = error.detail == phrase(error.status_code)
    return problem(error.status_code, None if is_default else error.detail, headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    """Return where the request is invalid and why, without the submitted values.

    At most `MAX_ERRORS` places are named: a body may be invalid in thousands.
    """
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            # The last part of the location is a name that the client sent.
            "location": [_name(part) for part in item["loc"]][: -1 if _is_extra(item) else None],
            "detail": _detail(item),
            "type": item["type"],
        }
        for item in error.errors()[:MAX_ERRORS]
    ]
    type_ = InvalidRequest.problem_type()
    return problem(422, "The request is invalid.", type_=type_, errors=errors)


def _name(part: object) -> str:
    return str(part)[:_MAX_NAME_LENGTH]


async def _invalid_text(_: Request, error: Exception) -> Response:
    """Return 422 for half of a surrogate pair, which JSON can carry and a response cannot.

    Codecs and Pydantic raise different errors for it.
    """
    if "surrogates not allowed" not in str(error):
        raise error
    return problem(422, InvalidText.detail, type_=InvalidText.problem_type())


def _is_extra(item: dict[str, Any]) -> bool:
    return bool(item["type"] == "extra_forbidden")


def _detail(item: dict[str, Any]) -> str:
    """Return the message without the part that may quote the submitted value.

    The message of a ValueError that a validator of yours raises is returned as it is, unless it
    repeats the value.
    """
    message, context, value = str(item["msg"]), item.get("ctx", {}), item.get("input")
    if isinstance(context.get("error"), ValueError):
        message = str(context["error"])
    elif item["type"] == "union_tag_invalid":
        message = f"Input tag should be one of {context['expected_tags']}"
    elif item["type"] == "value_error" or item["type"].endswith("_parsing"):
        message = re.split("[,:]", message)[0]
    repeats = isinstance(value, str) and len(value) > 3 and value in message
    return "The value is invalid." if repeats else message


async def _service_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    detail = str(error) or None
    return problem(error.status, detail, error.headers, type_=error.problem_type())


def add_problem_handlers(app: FastAPI) -> None:
    """Return expected errors as problems."""
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ValueError, _invalid_text)


class UnexpectedErrors:
    """Pure ASGI middleware. It logs an unexpected error and responds with 500.

    `exception_handler(Exception)` would respond outside the other middleware, without a request id
    and CORS headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception:
            logger.exception("unexpected error")
            if started:
                raise  # the server closes the connection: the body is incomplete
            await problem(500)(scope, receive, send)
