"""The application class: FastAPI with problems, health checks and a complete OpenAPI document."""

from typing import Any

from fastapi import FastAPI

from app.kit.web.health import add_health_checks
from app.kit.web.openapi import PROBLEM_RESPONSES, complete, operation_id
from app.kit.web.problems import add_problem_handlers


class KitApp(FastAPI):
    """FastAPI with problem details (RFC 9457), health checks and an OpenAPI document."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            responses=PROBLEM_RESPONSES, generate_unique_id_function=operation_id, **options
        )
        add_problem_handlers(self)
        add_health_checks(self)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            complete(super().openapi())
        return super().openapi()
