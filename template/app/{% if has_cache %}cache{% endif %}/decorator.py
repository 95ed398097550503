"""`@cached`, below the route decorator: the route runs only if its response is not there yet."""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from operator import itemgetter
from string import Formatter
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from app.cache.recording import KEY, Recorder
from app.cache.response_cache import Computation, ResponseCache
from app.cache.responses import CompleteResponse
from app.wiring import ResponseCacheDep

Route = TypeVar("Route", bound=Callable[..., Any])


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
    responses to GET and HEAD, without cookies, unless the route says `no-store`, `no-cache` or `private` itself.
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
        signature = inspect.signature(route)
        _check_names(policy, signature)

        @wraps(route)
        async def wrapper(_exchange: _Exchange, **arguments: Any) -> Any:
            answer = await _exchange.look_up(policy, route, arguments)
            if answer is not None:
                return answer
            if inspect.iscoroutinefunction(route):
                return await route(**arguments)
            return await run_in_threadpool(route, **arguments)

        exchange = inspect.Parameter(
            "_exchange",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[_Exchange, Depends(_get_exchange)],
        )
        parameters = [*signature.parameters.values(), exchange]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorate


@dataclass(slots=True)
class _Exchange:
    """A request, the headers its dependencies set, and the cache."""

    request: Request
    headers: Response
    cache: ResponseCache

    async def look_up(
        self, policy: _Policy, route: Callable[..., Any], arguments: dict[str, Any]
    ) -> Response | None:
        """Return the stored response; or None, after which the route's own will be taken."""
        if self.request.method not in ("GET", "HEAD"):
            return None
        recorder: Recorder = self.request.scope[KEY]
        user = None if policy.per_user is None else _NAMES.vformat(policy.per_user, (), arguments)
        tags = [_NAMES.vformat(tag, (), arguments) for tag in policy.tags]
        key = _key(self.request, policy.vary, route, user)
        found = await self.cache.look_up(key, tags)
        if_none_match = ", ".join(self.request.headers.getlist("if-none-match")) or None
        if isinstance(found, Computation):
            recorder.answer = _Answer(policy, tags, found, if_none_match)
            return None
        response = found.response.with_headers(("age", str(found.age)), *self._fresh_headers())
        if response.get("set-cookie") is not None:
            response = response.with_headers(("cache-control", "no-store"))
        response = response.answering(if_none_match)
        sent = Response(response.body, response.status)
        sent.raw_headers = response.raw_headers
        return sent

    def _fresh_headers(self) -> list[tuple[str, str]]:
        """Return what dependencies said of this request; it is newer than what was stored."""
        return [(name.lower(), value) for name, value in self.headers.headers.items()]


async def _get_exchange(request: Request, response: Response, cache: ResponseCacheDep) -> _Exchange:
    return _Exchange(request, response, cache)


@dataclass(slots=True)
class _Answer:
    """Takes the response of a route that had to run."""

    policy: _Policy
    tags: list[str]
    computation: Computation
    if_none_match: str | None

    async def complete(self, response: CompleteResponse) -> CompleteResponse:
        policy = self.policy
        if not response.may_be_stored(public=policy.per_user is None, vary=policy.vary):
            self.abandon(cancelled=False)
            return response
        response = response.described(policy.cache_control, policy.vary)
        await self.computation.finish(response, policy.expire, self.tags)
        return response.answering(self.if_none_match)

    def abandon(self, *, cancelled: bool) -> None:
        self.computation.abandon(cancelled=cancelled)


class _Names(Formatter):
    """Fills in what names something. The text of any other object may be the same for two of them."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if not isinstance(value, str | int | UUID):
            raise TypeError(f"a user or a tag is named by a str, an int or a UUID, not {value!r}")
        return str(super().format_field(value, format_spec))


_NAMES = _Names()


def _check_names(policy: _Policy, signature: inspect.Signature) -> None:
    """Raise TypeError for a name that is no parameter, and for a `per_user` that is the same for all."""
    for text in (policy.per_user or "", *policy.tags):
        fields = [field for _, field, _, _ in _NAMES.parse(text) if field is not None]
        if text == policy.per_user and not fields:
            raise TypeError(f'per_user={text!r} is the same for all: write per_user="{{user.id}}"')
        for field in fields:
            name = re.split(r"[.\[]", field)[0]
            if name not in signature.parameters:
                known = ", ".join(signature.parameters) or "none"
                raise TypeError(f"{text!r}: there is no parameter {name!r}; there are: {known}")


def _key(request: Request, vary: Sequence[str], route: Callable[..., Any], user: str | None) -> str:
    """Return a digest of all that the response depends on. JSON, so that no value runs into the next."""
    parts = [
        f"{route.__module__}.{route.__qualname__}",
        _schema_version(request.scope["route"]),
        request.url.scheme,
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
    except PydanticSchemaGenerationError:
        schema = str(route.response_model)
    written = json.dumps([schema, options], sort_keys=True, default=sorted)
    version = blake2b(written.encode(), digest_size=8).hexdigest()
    _versions[id(route)] = (route, version)
    return version
