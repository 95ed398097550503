"""A cache of responses. Routes use `app.cache.decorator.cached`; services invalidate through `ResponseCache`."""
