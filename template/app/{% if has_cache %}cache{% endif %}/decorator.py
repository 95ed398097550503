"""`@cached`, below the route decorator: the route runs only if its response is not there yet."""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from hashlib import blake2b
from operator import itemgetter
from string import Formatter
from typing import Annotated, Any, TypeVar, cast, get_args
from uuid import UUID

from fastapi import Depends, Request, Response, params
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from app.cache.recording import KEY, Recorder
from app.cache.response_cache import Computation, ResponseCache
from app.cache.responses import CompleteResponse, Headers, decoded
from app.wiring import ResponseCacheDep

Route = TypeVar("Route", bound=Callable[..., Any])


def cached(
    *,
    expire: int,
    public: bool = False,
    per_user: str | None = None,
    tags: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> Callable[[Route], Route]:
    """Return a decorator that keeps a route's responses for `expire` seconds.

    Say whose they are: `public=True` for everybody's, or `per_user="{user.id}"`, where `user` is a parameter of the
    route. `tags=("user:{user.id}",)` name what they are about: `ResponseCache.invalidate("user:...")` forgets
    them. `vary` names the request headers that they depend on, beside host, path and query.

    Dependencies, and with them authentication, run before the cache is asked. Stored are complete 200, 203 and 204
    responses to GET, without cookies, unless the route says `no-store`, `no-cache` or `private` itself.
    Raises TypeError or ValueError, when the module is imported, for what cannot work.
    """
    if public == (per_user is not None):
        raise TypeError('whose responses are they? Say either public=True or per_user="{user.id}"')
    if isinstance(tags, str) or isinstance(vary, str):
        raise TypeError("tags and vary take several: write tags=(...,)")
    if isinstance(expire, bool) or not isinstance(expire, int) or expire < 1:
        raise ValueError(f"expire takes whole seconds, at least 1, not {expire!r}")
    policy = _Policy(expire, per_user, tuple(tags), tuple(name.lower() for name in vary))

    def decorate(route: Route) -> Route:
        if not inspect.isfunction(route):
            raise TypeError(
                f"@cached stands below the route decorator, on a function, not {route!r}"
            )
        if inspect.isgeneratorfunction(route) or inspect.isasyncgenfunction(route):
            raise TypeError(f"{route.__name__} is a stream: it cannot be cached")
        signature = inspect.signature(route, eval_str=True)
        _check(policy, signature)
        is_async = inspect.iscoroutinefunction(inspect.unwrap(route))

        @wraps(route)
        async def wrapper(
            *positional: Any, cached_exchange: _Exchange | None = None, **arguments: Any
        ) -> Any:
            answer = None
            # None where somebody calls the route as a function.
            if cached_exchange is not None:
                answer = await cached_exchange.look_up(policy, route, arguments)
            if isinstance(answer, _Found):
                return Response()  # the recorder sends what was found instead
            run = partial(route, *positional, **arguments)
            result = await (run() if is_async else run_in_threadpool(run))
            if answer is not None:
                answer.takes_headers = not isinstance(result, Response)
            return result

        exchange = inspect.Parameter(
            "cached_exchange",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[_Exchange, Depends(_get_exchange)],
        )
        parameters = [*signature.parameters.values(), exchange]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return cast("Route", wrapper)

    return decorate


@dataclass(frozen=True, slots=True)
class _Policy:
    expire: int
    per_user: str | None
    tags: tuple[str, ...]
    vary: tuple[str, ...]

    @property
    def cache_control(self) -> str:
        """Who may keep it downstream, and for how long.

        What can be invalidated, and what is a user's own, has to be asked for again each time, which costs a 304:
        nobody can call it back from a browser.
        """
        if self.per_user is not None:
            return "private, no-cache"
        return "public, no-cache" if self.tags else f"public, max-age={self.expire}"

    def lifetime(self, response: CompleteResponse) -> int:
        return response.lifetime(self.expire, public=self.per_user is None, vary=self.vary)


@dataclass(slots=True)
class _Found:
    """Answers with what was stored."""

    response: CompleteResponse

    async def complete(self, _: CompleteResponse) -> CompleteResponse:
        return self.response

    def abandon(self, *, cancelled: bool) -> None:
        """There is nobody who waits."""


@dataclass(slots=True)
class _Computed:
    """Takes the response of a route that had to run."""

    policy: _Policy
    tags: list[str]
    computation: Computation
    if_none_match: str | None
    dependencies: Headers
    """What they set for this request, and for no other."""
    takes_headers: bool = True

    async def complete(self, response: CompleteResponse) -> CompleteResponse:
        lifetime = self.policy.lifetime(response)
        if not lifetime:
            self.abandon(cancelled=False)
            return response.varying(self.policy.vary)
        dependencies = self.dependencies if self.takes_headers else ()
        kept = response.without(dependencies).described(self.policy.cache_control)
        await self.computation.finish(kept, self.takes_headers, lifetime, self.tags)
        return kept.having(*dependencies).varying(self.policy.vary).answering(self.if_none_match)

    def abandon(self, *, cancelled: bool) -> None:
        self.computation.abandon(cancelled=cancelled)


@dataclass(slots=True)
class _Exchange:
    """A request, the headers its dependencies set, and the cache."""

    request: Request
    response: Response
    cache: ResponseCache

    async def look_up(
        self, policy: _Policy, route: Callable[..., Any], arguments: dict[str, Any]
    ) -> _Found | _Computed | None:
        """Return the answer, which is now the recorder's; None where nothing is to be recorded."""
        method = self.request.method
        if method not in ("GET", "HEAD"):
            return None
        recorder: Recorder = self.request.scope[KEY]
        user = None if policy.per_user is None else _values(policy.per_user, arguments)
        tags = ["".join(_values(tag, arguments)) for tag in policy.tags]
        key = _key(self.request, policy.vary, route, user)
        found = await self.cache.look_up(key, tags, policy.expire, recorder.began_at)
        if_none_match = ", ".join(self.request.headers.getlist("if-none-match")) or None
        dependencies = decoded(self.response.headers.raw)
        if isinstance(found, Computation):
            if method == "HEAD":  # has no body that others could be given
                found.abandon(cancelled=False)
                return None
            computed = _Computed(policy, tags, found, if_none_match, dependencies)
            recorder.answer = computed
            return computed
        response = found.response.having(("age", str(found.age)))
        if found.takes_headers and dependencies:
            response = response.having(*dependencies)
            if not policy.lifetime(replace(response, headers=dependencies)):
                response = response.with_one("cache-control", "no-store")  # a cookie, for instance
        response = response.varying(policy.vary).answering(if_none_match)
        recorder.answer = _Found(response)
        return recorder.answer


async def _get_exchange(request: Request, response: Response, cache: ResponseCacheDep) -> _Exchange:
    return _Exchange(request, response, cache)


def _check(policy: _Policy, signature: inspect.Signature) -> None:
    """Raise TypeError for a name that is no parameter, a `per_user` that is the same for all, a header not in `vary`."""
    for text in (policy.per_user or "", *policy.tags):
        parsed = [each for each in Formatter().parse(text) if each[1] is not None]
        if text == policy.per_user and not parsed:
            raise TypeError(f'per_user={text!r} is the same for all: write per_user="{{user.id}}"')
        for _, field, spec, conversion in parsed:
            name = re.split(r"[.\[]", field or "")[0]
            if name not in signature.parameters:
                known = ", ".join(signature.parameters) or "none"
                raise TypeError(f"{text!r}: there is no parameter {name!r}; there are: {known}")
            if spec or conversion:
                raise TypeError(f"{text!r}: write {{{field}}}, without a format")
    for name, parameter in signature.parameters.items():
        for each in (parameter.default, *get_args(parameter.annotation)):
            header = each.alias or name.replace("_", "-") if isinstance(each, params.Header) else ""
            if isinstance(each, params.Cookie):
                header = "Cookie"
            if header and header.lower() not in policy.vary:
                raise TypeError(f'the response depends on {header}: write vary=("{header}",)')


def _values(text: str, arguments: dict[str, Any]) -> list[str]:
    """Return the parts of a text with what its fields name. Raises TypeError for what is no name.

    The text of any other object may be the same for two of them, as with an address in it.
    """
    parts = []
    for literal, field, _, _ in Formatter().parse(text):
        parts.append(literal)
        if field is not None:
            value, _ = Formatter().get_field(field, (), arguments)
            if not isinstance(value, str | int | UUID):
                raise TypeError(f"{text!r} is named by a str, an int or a UUID, not by {value!r}")
            parts.append(str(value))
    return parts


def _key(
    request: Request, vary: Sequence[str], route: Callable[..., Any], user: list[str] | None
) -> str:
    """Return a digest of all that the response depends on. JSON, so that no value runs into the next."""
    parts = [
        f"{route.__module__}.{route.__qualname__}",
        _schema_version(request.scope["route"]),
        request.scope.get("scheme"),
        request.headers.get("host"),
        request.scope["path"],
        # Of parameters with the same name the order counts.
        sorted(request.query_params.multi_items(), key=itemgetter(0)),
        [request.headers.getlist(name) for name in vary],
        user,
    ]
    return blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()


_versions: dict[int, tuple[Any, str]] = {}


def _schema_version(route: Any) -> str:
    """Return a digest of how the route writes its response: a new deployment never reads the old shape."""
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
    """Return the value with mappings and sets in an order that is the same in every process."""
    if isinstance(value, dict):
        return sorted((repr(name), _in_order(each)) for name, each in value.items())
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return [_in_order(each) for each in value] if isinstance(value, list) else repr(value)
