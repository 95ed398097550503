"""Fails a test in which a route answers what OpenAPI does not list for it."""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.types import Message, Receive, Scope, Send

from app.kit.web import KitApp
from app.kit.web.openapi import complete
from app.kit.web.problems import MEDIA_TYPE


@pytest.fixture(scope="session", autouse=True)
def documented_answers() -> Iterator[None]:
    """Compare each answer with the documentation of its route.

    The error is raised where the test awaits the answer. A fixture of this name in `conftest.py`
    replaces the comparison.
    """
    respond = KitApp.__call__

    async def compare(app: KitApp, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer()

        async def watched_send(message: Message) -> None:
            answer.add(message)
            await send(message)

        __tracebackhide__ = True  # the test's line is what matters
        await respond(app, scope, receive, watched_send)
        if operation := find_operation(app, scope):
            answer.check(operation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KitApp, "__call__", compare)
        yield


class Operation:
    """A route and a method, as OpenAPI describes them."""

    def __init__(self, route: RouteContext, method: str) -> None:
        self.route = route
        self.method = method
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a route with two methods has one operation id
            document = get_openapi(title="", version="", routes=[route])
        complete(document, [route])
        operation = document["paths"][route.path_format][method.lower()]
        self.responses: dict[str, Any] = operation["responses"]

    def has_run(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return self.method == scope["method"] and bool(self.route.path_regex.match(path))


_operations: dict[int, list[Operation]] = {}
"""By the id of their route, which they keep: the apps of all tests have the same routes."""


def find_operation(app: KitApp, scope: Scope) -> Operation | None:
    """Return the documented operation that has run, None if there is none."""
    ran = scope.get("route")
    if scope["type"] != "http" or not isinstance(ran, APIRoute):
        return None
    known = _operations.setdefault(id(ran), [])
    if not any(each.has_run(scope) for each in known):
        for route in iter_route_contexts(app.routes):
            if route.original_route is ran and route.include_in_schema:
                known += (Operation(route, method) for method in route.methods or ())
    return next((each for each in known if each.has_run(scope)), None)


class Answer:
    """A status and, of a problem, its type."""

    def __init__(self) -> None:
        self.status = 0
        self.is_problem = False
        self.body = b""

    def add(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = dict(message.get("headers", ()))
            self.is_problem = headers.get(b"content-type") == MEDIA_TYPE.encode()
        elif self.is_problem:
            self.body += message.get("body", b"")

    def check(self, operation: Operation) -> None:
        """Raise AssertionError unless the documentation lists this answer; 500 is a defect."""
        __tracebackhide__ = True
        route, responses = operation.route, operation.responses
        type_ = json.loads(self.body)["type"] if self.is_problem else None
        own = {str(each).upper() for each in route.responses}
        is_own = not own.isdisjoint({str(self.status), f"{self.status // 100}XX", "DEFAULT"})
        is_listed = is_own or _may_be(type_, responses.get(str(self.status)))
        if not is_listed and self.status != 500:
            raise AssertionError(
                f"{operation.method} {route.path_format} answers {self.status},"
                f" {type_ or 'no problem'}, which its documentation does not list:"
                f" write {self._remedy(type_)}"
            )

    def _remedy(self, type_: str | None) -> str:
        if type_ is None:
            own = f"responses={{{self.status}: {{}}}}"
            return f"`status_code={self.status}` or `{own}` in its decorator"
        error = _error(type_) or self.status
        return f"`@raises({error})` of `app.kit.errors` below its decorator"


def _error(type_: str) -> str:
    """Return the name of the class of errors with this type, "" if there is none."""
    if type_ == "about:blank":
        return ""
    return "".join(part.capitalize() for part in type_.rpartition("/")[2].split("-"))


def _may_be(type_: str | None, response: dict[str, Any] | None) -> bool:
    """Tell whether a documented response may be a problem of a type, or, for None, no problem."""
    if response is None or type_ is None:
        return response is not None
    schema = response["content"][MEDIA_TYPE]["schema"]
    names = {each["$ref"].rpartition("/")[2] for each in schema.get("anyOf", [schema])}
    return not names.isdisjoint({"Problem", f"{_error(type_)}Problem"})
