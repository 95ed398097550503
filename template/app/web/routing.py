"""Routes of slices, in the application's own list.

FastAPI looks through an included router route by route, and twice: measured, the last of 500 routes costs three
times what it does in the application's own list.
"""

import inspect

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts

_OPTIONS = inspect.signature(APIRouter.add_api_route).parameters.keys() - {"path", "endpoint"}


def add_routes(target: APIRouter, router: APIRouter) -> bool:
    """Add the routes of a router, and of routers in it, with all that they inherit; return whether there are only such.

    With anything else in it (a mount, a frontend) nothing is added.
    """
    contexts = list(iter_route_contexts(router.routes))
    kinds = {type(context.original_route) for context in contexts}
    if kinds - {APIRoute, APIWebSocketRoute} or getattr(router, "_low_priority_routes", None):
        return False
    for context in contexts:
        assert context.path is not None
        assert context.endpoint is not None
        if type(context.original_route) is APIWebSocketRoute:
            target.add_api_websocket_route(
                context.path, context.endpoint, context.name, dependencies=context.dependencies
            )
        else:
            options = {name: getattr(context, name) for name in _OPTIONS if hasattr(context, name)}
            target.add_api_route(context.path, context.endpoint, **options)
    return True
