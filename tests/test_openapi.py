"""What real services answer is what their OpenAPI document says: schemathesis sends anything."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Rendered, ServiceSettings, as_parameter
from tests.projects import run
from tests.servers import PASSWORD, SERVE, Service, start
from tests.variants import Answers, focused

ADMIN = "admin@example.com"
EXAMPLES = 10
"""Requests to each operation, beside those that schemathesis derives from the document."""
ENDLESS = ("/examples/events", "/examples/stream")
"""They would be read to the end; `tests/test_examples.py` has their tests."""
ENDING_SESSIONS = ("auth_sign_out", "users_change_password", "users_delete_profile")
VARIANTS = [
    *focused(lifecycle="depends", database="none"),
    *focused(lifecycle="depends", database="sqlite", examples=True),
    *focused(
        lifecycle="clean-ioc",
        database="postgresql",
        cache="redis",
        websockets="redis",
        jobs="redis",
        examples=True,
    ),
    *focused(
        lifecycle="dishka",
        database="none",
        cache="memory",
        websockets="memory",
        examples=True,
    ),
]

conforming = pytest.mark.parametrize(
    "variant", [as_parameter(each) for each in VARIANTS], indirect=True
)


@pytest.fixture
def service(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings
) -> Iterator[Service]:
    project = installed(**variant)
    settings = settings_of(variant)
    if variant["database"] != "none":
        limits = ("SIGN_IN_LIMIT_PER_IP", "SIGN_IN_LIMIT_PER_ACCOUNT")
        settings |= dict.fromkeys(limits, "100000")
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
        create = f"echo '{PASSWORD}' | uv run python -m app create-admin {ADMIN}"
        run(project, "sh", "-c", create, settings=settings)
    with start(project, *SERVE, settings=settings) as service:
        yield service


def conform(service: Service, folder: Path, *options: str) -> None:
    """Fail unless the answers of a service have statuses, types and schemas that it documents."""
    run(
        folder,
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
        # The example's other service is not there, and a valid password may be a common one.
        *("--checks", "all", "--exclude-checks", "not_a_server_error,positive_data_acceptance"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        *(each for path in ENDLESS for each in ("--exclude-path", path)),
        *options,
        timeout=600,
    )


def authorization(service: Service) -> str:
    form = {"username": ADMIN, "password": PASSWORD}
    token = httpx2.post(f"{service.url}/token", data=form, timeout=30).json()["access_token"]
    return f"Authorization: Bearer {token}"


@conforming
def test_answers_are_documented(service: Service, variant: Answers, tmp_path: Path) -> None:
    conform(service, tmp_path)
    if variant["database"] != "none":
        header = ("--header", authorization(service))
        ending = [each for name in ENDING_SESSIONS for each in ("--exclude-operation-id", name)]
        conform(service, tmp_path, *header, *ending)
        for name in ENDING_SESSIONS:
            header = ("--header", authorization(service))
            conform(service, tmp_path, *header, "--include-operation-id", name)
    assert service.errors() == []


RECORD = """

_check = Answer.check


def _record(self: Answer, operation: Operation) -> None:
    _check(self, operation)
    type_ = json.loads(self.body)["type"] if self.is_problem else "about:blank"
    with open("answers.txt", "a") as file:
        path = operation.route.path_format
        file.write(f"{operation.method} {path} {self.status} {type_}\\n")


Answer.check = _record
"""
DECLARED = """
from fastapi.routing import iter_route_contexts
from app.kit.errors import declared_errors
from app.main import app
for route in iter_route_contexts(app.routes):
    for error in declared_errors(route.endpoint):
        status, type_ = error, "about:blank"
        if not isinstance(error, int):
            status, type_ = error.status, error.problem_type()
        print("declared", *route.methods, route.path_format, status, type_)
"""


@pytest.mark.parametrize("variant", [as_parameter(VARIANTS[1])], indirect=True)
def test_every_error_that_a_route_declares_is_tested(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings, tmp_path: Path
) -> None:
    project = shutil.copytree(installed(**variant), tmp_path / "p", symlinks=True)
    with (project / "tests/kit/documented.py").open("a") as file:
        file.write(RECORD)
    suites = ("tests/accounts", "tests/auth", "tests/examples", "tests/kit/web")
    run(project, "uv", "run", "pytest", "-p", "no:cacheprovider", *suites)
    answers = set((project / "answers.txt").read_text().splitlines())
    output = run(project, "uv", "run", "python", "-c", DECLARED, settings=settings_of(variant))
    lines = [line for line in output.splitlines() if line.startswith("declared ")]
    declared = {line.removeprefix("declared ") for line in lines}
    assert len(declared) >= 10
    assert declared - answers == set()
