"""Routes of slices, in the application's own list.

FastAPI looks through an included router route by route, and twice: measured, that is five times the cost of its
own list, for each route that stands before the one that is asked for.
"""

import inspect

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts

_OPTIONS = inspect.signature(APIRouter.add_api_route).parameters.keys() - {"path", "endpoint"}


def include(app: FastAPI, router: APIRouter) -> None:
    """Add the routes of a router, and of routers in it, with all that they inherit.

    A router with anything else in it (a mount, a frontend) is included as FastAPI does it.
    """
    contexts = list(iter_route_contexts(router.routes))
    kinds = {type(context.original_route) for context in contexts}
    if kinds - {APIRoute, APIWebSocketRoute} or getattr(router, "_low_priority_routes", None):
        app.include_router(router)
        return
    for context in contexts:
        assert context.path is not None
        assert context.endpoint is not None
        if type(context.original_route) is APIWebSocketRoute:
            app.router.add_api_websocket_route(
                context.path, context.endpoint, context.name, dependencies=context.dependencies
            )
        else:
            options = {name: getattr(context, name) for name in _OPTIONS if hasattr(context, name)}
            app.router.add_api_route(context.path, context.endpoint, **options)
