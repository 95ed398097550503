"""Builds the application: routes, middleware, error handlers."""

from collections.abc import Sequence

from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware

from app.about import DESCRIPTION, TITLE, VERSION
from app.overrides import Override
from app.settings import Settings
from app.slices import slice_modules
from app.web import health
from app.web.body_limit import BodyLimit
from app.web.context import RequestContext
from app.web.headers import SecurityHeaders
from app.web.openapi import PROBLEM_RESPONSES, App, operation_id
from app.web.problems import UnexpectedErrors, add_problem_handlers
from app.wiring import create_lifespan


def create_app(settings: Settings | None = None, overrides: Sequence[Override] = ()) -> App:
    """Return the application; nothing is opened before its lifespan begins.

    Settings are read from the environment unless given. `overrides` put fakes in the place of objects.
    """
    settings = settings or Settings()
    app = App(
        title=TITLE,
        description=DESCRIPTION,
        version=VERSION,
        lifespan=create_lifespan(settings, overrides),
        responses=PROBLEM_RESPONSES,
        generate_unique_id_function=operation_id,
        middleware=[  # the first is the outermost
            Middleware(RequestContext),
            Middleware(SecurityHeaders),
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["X-Request-ID"],
            ),
            Middleware(UnexpectedErrors),
            Middleware(BodyLimit, max_body_size=settings.max_body_size),
        ],
    )
    add_problem_handlers(app)
    app.include_router(health.router)
    for routes in slice_modules("routes"):
        app.include_router(routes.router)
    return app
