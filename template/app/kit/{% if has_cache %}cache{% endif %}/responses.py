"""A complete response, and the rules of HTTP for storing and sending it (RFC 9110, RFC 9111)."""

import json
import re
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

Headers = tuple[tuple[str, str], ...]
"""Names are in lower case, in the order of sending."""

_CACHEABLE_STATUSES = {200, 203, 204}
_PER_MESSAGE_HEADERS = {"age", "connection", "content-length", "date", "transfer-encoding"}
_BODY_HEADERS = {"content-encoding", "content-language", "content-length", "content-type"}
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_DIGEST_SIZE = 16


def decode_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an ASGI message."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


@dataclass(frozen=True, slots=True)
class CompleteResponse:
    status: int
    headers: Headers
    body: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers for an ASGI message, with the body's length."""
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        if self.status in (204, 304):
            return headers
        length = str(len(self.body)).encode()
        return [
            *(each for each in headers if each[0] != b"content-length"),
            (b"content-length", length),
        ]

    def get_header(self, name: str) -> str | None:
        """Return a header's value. Several lines are joined to one list (RFC 9110, 5.3)."""
        values = [value for each, value in self.headers if each == name]
        return ", ".join(values) if values else None

    def add_headers(self, *headers: tuple[str, str]) -> Self:
        """Return a copy with more header lines."""
        return replace(self, headers=(*self.headers, *headers))

    def replace_header(self, name: str, value: str) -> Self:
        """Return a copy with this header instead of all of its name."""
        others = tuple(header for header in self.headers if header[0] != name)
        return replace(self, headers=(*others, (name, value)))

    def remove_headers(self, headers: Headers) -> Self:
        """Return a copy without these lines, each removed once."""
        kept = list(self.headers)
        for header in headers:
            if header in kept:
                kept.remove(header)
        return replace(self, headers=tuple(kept))

    def storage_seconds(self, expire: int, *, public: bool, vary: Collection[str]) -> int:
        """Return how long the response may be stored; 0 if HTTP forbids it (RFC 9111, 3)."""
        directives = _parse_list(self.get_header("cache-control"))
        if (
            self.status not in _CACHEABLE_STATUSES
            or self.get_header("set-cookie") is not None
            or directives.keys() & {"no-store", "no-cache"}
            or (public and "private" in directives)
            or not _parse_list(self.get_header("vary")).keys() <= set(vary)
        ):
            return 0
        own = directives.get("s-maxage") or directives.get("max-age") or ""
        return min(expire, int(own)) if own.isdecimal() else expire

    def add_validators(self, cache_control: str) -> Self:
        """Return a copy with a strong ETag and `Cache-Control`, unless the route has set them."""
        kept = tuple(header for header in self.headers if header[0] not in _PER_MESSAGE_HEADERS)
        response = replace(self, headers=kept)
        if self.get_header("etag") is None and self.status == 200:
            response = response.add_headers(("etag", f'"{_digest(self.body).hex()}"'))
        if self.get_header("cache-control") is None:
            response = response.add_headers(("cache-control", cache_control))
        return response

    def extend_vary(self, names: Sequence[str]) -> Self:
        """Return a copy with one `Vary` that includes these header names."""
        merged = dict.fromkeys([*_parse_list(self.get_header("vary")), *names])
        return self.replace_header("vary", ", ".join(merged)) if merged else self

    def apply_condition(self, if_none_match: str | None) -> Self:
        """Return a 304 if the client already has this response (RFC 9110, 13.1.2), else itself."""
        etag = self.get_header("etag")
        if self.status != 200 or etag is None or if_none_match is None:
            return self
        known = _ENTITY_TAG.findall(if_none_match)  # weak comparison ignores `W/`
        if if_none_match.strip() != "*" and etag.removeprefix("W/") not in known:
            return self
        headers = tuple(header for header in self.headers if header[0] not in _BODY_HEADERS)
        return replace(self, status=304, headers=headers, body=b"")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it is stored.

    `takes_headers` tells whether FastAPI adds the headers that dependencies set. `stored_at` is in
    seconds since the epoch. `versions` are those that its tags had when the request began.
    """

    response: CompleteResponse
    takes_headers: bool
    stored_at: float
    versions: tuple[str, ...]

    @property
    def age(self) -> int:
        """In seconds (RFC 9111, 5.1)."""
        return max(0, int(time.time() - self.stored_at))

    def dump(self, key: str) -> bytes:
        """Return a digest, a line of JSON and the body. Loading it never runs code."""
        response = self.response
        line = [
            response.status,
            response.headers,
            self.takes_headers,
            self.stored_at,
            self.versions,
        ]
        content = json.dumps(line).encode() + b"\n" + response.body
        return _digest(content, key) + content

    @classmethod
    def load(cls, key: str, dumped: bytes) -> Self:
        """Return what was dumped for the same key. Raise ValueError for anything else."""
        content = dumped[_DIGEST_SIZE:]
        if _digest(content, key) != dumped[:_DIGEST_SIZE]:
            raise ValueError("not a stored response")
        line, _, body = content.partition(b"\n")
        status, headers, takes_headers, stored_at, versions = json.loads(line)
        response = CompleteResponse(status, tuple((name, value) for name, value in headers), body)
        return cls(response, takes_headers, stored_at, tuple(versions))


def _digest(content: bytes, key: str = "") -> bytes:
    return blake2b(content, digest_size=_DIGEST_SIZE, key=key.encode()[:64]).digest()


def _parse_list(field: str | None) -> dict[str, str]:
    """Return the members of a list header, in lower case, with their arguments."""
    members = (item.strip().lower().partition("=") for item in (field or "").split(","))
    return {name.strip(): argument.strip(' "') for name, _, argument in members if name}
