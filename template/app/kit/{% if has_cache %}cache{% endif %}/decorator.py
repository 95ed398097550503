"""`@cached`: runs a route only if its response is not in the cache."""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial, wraps
from hashlib import blake2b
from operator import itemgetter
from string import Formatter
from typing import Annotated, Any, TypeVar, cast, get_args

from fastapi import Depends, Request, Response, params
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from starlette.routing import BaseRoute

from app.kit.cache.dependencies import ResponseCacheDep
from app.kit.cache.fields import IDENTIFIERS, is_identifier, type_of_field
from app.kit.cache.recording import KEY, Recording
from app.kit.cache.request_use import RESOLVED, RequestUse
from app.kit.cache.response_cache import Computation, ResponseCache
from app.kit.cache.responses import CompleteResponse, Headers, decode_headers
from app.kit.errors import raises

Route = TypeVar("Route", bound=Callable[..., Any])


def cached(
    *,
    expire: int,
    public: bool = False,
    per_user: str | None = None,
    tags: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> Callable[[Route], Route]:
    """Cache a route's responses for `expire` seconds. Write it below the route decorator.

    Declare who may share a response: everyone with `public=True`, or one user with
    `per_user="{user.id}"`, where `user` is a parameter of the route. `tags=("user:{user.id}",)`
    name what it is about, so that `ResponseCache.invalidate("user:...")` finds it. `vary` names
    the request headers that it depends on, besides the path and the declared query parameters; the
    whole query and the host count if the route or a dependency takes the request itself.

    Dependencies, authentication among them, run before the cache is asked. Only complete 200, 203
    and 204 responses to GET are stored, without cookies, and only if the route does not set
    `no-store`, `no-cache` or `private` itself.

    Raise TypeError or ValueError, when the module is imported, for arguments that cannot work.
    """
    if public == (per_user is not None):
        raise TypeError('who may share a response? Write public=True or per_user="{user.id}"')
    if isinstance(tags, str) or isinstance(vary, str):
        raise TypeError("tags and vary are tuples: write tags=(...,)")
    if isinstance(expire, bool) or not isinstance(expire, int) or expire < 1:
        raise ValueError(f"expire is in whole seconds, at least 1, not {expire!r}")
    names = tuple(name.lower() for name in vary)

    def decorate(route: Route) -> Route:
        if not inspect.isfunction(route):
            raise TypeError(
                f"write @cached below the route decorator, on a function, not {route!r}"
            )
        if inspect.isgeneratorfunction(route) or inspect.isasyncgenfunction(route):
            raise TypeError(f"{route.__name__} is a stream, which cannot be cached")
        signature = inspect.signature(route, eval_str=True)
        policy = _Policy(expire, per_user, tuple(tags), names, RequestUse.of(route))
        _check(policy, signature)
        is_async = inspect.iscoroutinefunction(inspect.unwrap(route))

        @wraps(route)
        async def wrapper(
            *positional: Any, cached_exchange: _Exchange | None = None, **arguments: Any
        ) -> Any:
            found = None
            # There is no exchange if the route is called as a plain function.
            if cached_exchange is not None:
                found = await cached_exchange.look_up(policy, route, arguments)
            if isinstance(found, _Hit):
                return Response()  # replaced by the cached response when it is sent
            run = partial(route, *positional, **arguments)
            result = await (run() if is_async else run_in_threadpool(run))
            if found is not None:
                found.takes_headers = not isinstance(result, Response)
            return result

        exchange = inspect.Parameter(
            "cached_exchange",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[_Exchange, Depends(_get_exchange)],
        )
        parameters = [*signature.parameters.values(), exchange]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapper.policy = policy  # type: ignore[attr-defined]
        return cast("Route", raises(304)(wrapper))

    return decorate


@dataclass(frozen=True, slots=True)
class _Policy:
    expire: int
    per_user: str | None
    tags: tuple[str, ...]
    vary: tuple[str, ...]
    use: RequestUse

    @property
    def cache_control(self) -> str:
        """How downstream caches may store the response.

        Nothing can be invalidated in a browser: a response that has tags or belongs to a user is
        revalidated on each request, which costs a 304.
        """
        if self.per_user is not None:
            return "private, no-cache"
        return "public, no-cache" if self.tags else f"public, max-age={self.expire}"

    def storage_seconds(self, response: CompleteResponse) -> int:
        return response.storage_seconds(self.expire, public=self.per_user is None, vary=self.vary)


@dataclass(slots=True)
class _Hit:
    """Replaces the route's response by the stored one."""

    response: CompleteResponse

    async def complete(self, _: CompleteResponse) -> CompleteResponse:
        return self.response

    def abandon(self, *, cancelled: bool) -> None:
        """Do nothing: no request waits for a hit."""


@dataclass(slots=True)
class _Miss:
    """Stores the response of a route that had to run."""

    policy: _Policy
    tags: list[str]
    computation: Computation
    if_none_match: str | None
    dependencies: Headers
    """The headers that dependencies have set, which are never stored."""
    takes_headers: bool = True

    async def complete(self, response: CompleteResponse) -> CompleteResponse:
        seconds = self.policy.storage_seconds(response)
        if not seconds:
            self.abandon(cancelled=False)
            return response.extend_vary(self.policy.vary)
        dependencies = self.dependencies if self.takes_headers else ()
        kept = response.remove_headers(dependencies).add_validators(self.policy.cache_control)
        await self.computation.finish(kept, self.takes_headers, seconds, self.tags)
        complete = kept.add_headers(*dependencies).extend_vary(self.policy.vary)
        return complete.apply_condition(self.if_none_match)

    def abandon(self, *, cancelled: bool) -> None:
        self.computation.abandon(cancelled=cancelled)


@dataclass(slots=True)
class _Exchange:
    """A request, the headers that its dependencies have set, and the cache."""

    request: Request
    response: Response
    cache: ResponseCache

    async def look_up(
        self, policy: _Policy, route: Callable[..., Any], arguments: dict[str, Any]
    ) -> _Hit | _Miss | None:
        """Return a hit or a miss, which now gets the response; None if it is not cacheable."""
        if self.request.method != "GET":  # HEAD arrives as GET
            return None
        recording: Recording = self.request.scope[KEY]
        user = None if policy.per_user is None else _fill_in(policy.per_user, arguments)
        tags = ["".join(_fill_in(tag, arguments)) for tag in policy.tags]
        key = _key(self.request, policy, route, user)
        found = await self.cache.look_up(key, tags, policy.expire, recording.began_at)
        if_none_match = ", ".join(self.request.headers.getlist("if-none-match")) or None
        dependencies = decode_headers(self.response.headers.raw)
        if isinstance(found, Computation):
            miss = _Miss(policy, tags, found, if_none_match, dependencies)
            recording.listener = miss
            return miss
        response = found.response.add_headers(("age", str(found.age)))
        if found.takes_headers and dependencies:
            response = response.add_headers(*dependencies)
            if not policy.storage_seconds(replace(response, headers=dependencies)):
                # A dependency has set a cookie, for instance.
                response = response.replace_header("cache-control", "no-store")
        hit = _Hit(response.extend_vary(policy.vary).apply_condition(if_none_match))
        recording.listener = hit
        return hit


async def _get_exchange(request: Request, response: Response, cache: ResponseCacheDep) -> _Exchange:
    return _Exchange(request, response, cache)


def _check(policy: _Policy, signature: inspect.Signature) -> None:
    """Raise TypeError for arguments that do not fit the route.

    These are: a field that is not a parameter or whose text need not be unique, a `per_user`
    without a field, a header or cookie parameter that `vary` does not name, and a public response
    below a dependency that reads one, or credentials.
    """
    for text in (policy.per_user or "", *policy.tags):
        parsed = [each for each in Formatter().parse(text) if each[1] is not None]
        if text == policy.per_user and not parsed:
            raise TypeError(f'per_user={text!r} is the same for everyone: write "{{user.id}}"')
        for _, field, spec, conversion in parsed:
            name = re.split(r"[.\[]", field or "")[0]
            if name not in signature.parameters:
                known = ", ".join(signature.parameters) or "none"
                raise TypeError(f"{text!r}: the route has no parameter {name!r}, only: {known}")
            if spec or conversion:
                raise TypeError(f"{text!r}: write {{{field}}} without a format")
            if not is_identifier(type_of_field(field or "", signature)):
                raise TypeError(f"{text!r}: {{{field}}} must be {IDENTIFIERS}, and never None")
    for name, parameter in signature.parameters.items():
        for each in (parameter.default, *get_args(parameter.annotation)):
            header = each.alias or name.replace("_", "-") if isinstance(each, params.Header) else ""
            if isinstance(each, params.Cookie):
                header = "Cookie"
            if header and header.lower() not in policy.vary:
                raise TypeError(f'the response depends on {header}: write vary=("{header}",)')
    _check_public(policy, policy.use)


def _check_public(policy: _Policy, use: RequestUse) -> None:
    for header in use.headers if policy.per_user is None else ():
        if header.lower() not in policy.vary:
            remedy = f'write per_user=..., or vary=("{header}",) if everyone may see it'
            raise TypeError(f"public=True, and a dependency reads {header}: {remedy}")


def check_routes(routes: Sequence[BaseRoute]) -> None:
    """Raise TypeError for a public response behind `dependencies=[...]` that read credentials.

    These stand at the route, a router or the application: the decorator has not seen them.
    """
    for route in iter_route_contexts(routes):
        policy = getattr(route.endpoint, "policy", None)
        if not isinstance(policy, _Policy):
            continue
        for each in route.dependencies:
            if each.dependency is not None:
                try:
                    _check_public(policy, RequestUse.of(each.dependency))
                except TypeError as error:
                    raise TypeError(f"{route.path}: {error}") from None


def _fill_in(text: str, arguments: dict[str, Any]) -> list[str]:
    """Return the parts of a text with its fields filled in. Raise TypeError for other values."""
    parts = []
    for literal, field, _, _ in Formatter().parse(text):
        parts.append(literal)
        if field is not None:
            value, _ = Formatter().get_field(field, (), arguments)
            if not is_identifier(type(value)):
                raise TypeError(f"a field of {text!r} must be {IDENTIFIERS}, not {value!r}")
            parts.append(str(value.value if isinstance(value, Enum) else value))
    return parts


def _key(
    request: Request, policy: _Policy, route: Callable[..., Any], user: list[str] | None
) -> str:
    """Return a digest of everything that the response depends on.

    JSON keeps adjacent values apart. A parameter that nobody reads is no part of it: a client could
    fill the cache with copies.
    """
    reads_all = policy.use.takes_request or RESOLVED in request.scope
    read = policy.use.query - request.path_params.keys()
    query = [each for each in request.query_params.multi_items() if reads_all or each[0] in read]
    parts = [
        f"{route.__module__}.{route.__qualname__}",
        _schema_version(request.scope["route"]),
        [request.scope.get("scheme"), request.headers.get("host")] if reads_all else [],
        request.scope["path"],
        # The order of parameters with the same name is significant.
        sorted(query, key=itemgetter(0)),
        [request.headers.getlist(name) for name in policy.vary],
        user,
    ]
    return blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()


_versions: dict[int, tuple[Any, str]] = {}


def _schema_version(route: Any) -> str:
    """Return a digest of the response's schema: a new deployment never reads an old shape."""
    known = _versions.get(id(route))
    if known is not None and known[0] is route:
        return known[1]
    options = {
        name: value for name, value in vars(route).items() if name.startswith("response_model_")
    }
    try:
        schema: Any = TypeAdapter(route.response_model).json_schema(mode="serialization")
    except PydanticUserError:
        schema = str(route.response_model)
    version = blake2b(repr(_in_order([schema, options])).encode(), digest_size=8).hexdigest()
    _versions[id(route)] = (route, version)
    return version


def _in_order(value: Any) -> Any:
    """Return the value with mappings and sets in the same order in every process."""
    if isinstance(value, dict):
        return sorted((repr(name), _in_order(each)) for name, each in value.items())
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return [_in_order(each) for each in value] if isinstance(value, list) else repr(value)
