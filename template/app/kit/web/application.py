"""The application class: FastAPI with problems, health checks and a complete OpenAPI document."""

from typing import Any

from fastapi import FastAPI

from app.kit.settings import KitSettings
from app.kit.web.docs import add_docs
from app.kit.web.health import add_health_checks
from app.kit.web.openapi import complete, operation_id
from app.kit.web.problems import add_problem_handlers


class KitApp(FastAPI):
    """FastAPI with problem details (RFC 9457), health checks and an OpenAPI document."""

    def __init__(self, settings: KitSettings, **options: Any) -> None:
        super().__init__(
            openapi_url="/openapi.json" if settings.shows_docs else None,
            docs_url=None,
            redoc_url=None,
            # A redirect would name the host of the request, which a proxy may have replaced.
            redirect_slashes=False,
            generate_unique_id_function=operation_id,
            **options,
        )
        add_problem_handlers(self)
        add_health_checks(self)
        if settings.shows_docs:
            add_docs(self)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            complete(super().openapi(), self.routes)
        return super().openapi()
