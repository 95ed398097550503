"""HTTP: request ids, limits, headers, problems, health checks, the OpenAPI document."""

from app.kit.web.application import KitApp
from app.kit.web.lifespan import create_lifespan
from app.kit.web.middleware import kit_middleware

__all__ = ["KitApp", "create_lifespan", "kit_middleware"]
