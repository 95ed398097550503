"""A complete response, and what HTTP says about keeping and sending one (RFC 9110, RFC 9111)."""

import json
import re
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in the order of sending."""

_STORED_STATUS = {200, 203, 204}
_OF_ONE_MESSAGE = {"age", "connection", "content-length", "date", "transfer-encoding"}
_OF_A_BODY = {"content-encoding", "content-language", "content-length", "content-type"}
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_DIGEST = 16


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an ASGI message."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


@dataclass(frozen=True, slots=True)
class CompleteResponse:
    status: int
    headers: Headers
    body: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        if self.status in (204, 304):
            return headers
        length = str(len(self.body)).encode()
        return [
            *(each for each in headers if each[0] != b"content-length"),
            (b"content-length", length),
        ]

    def get(self, name: str) -> str | None:
        """Return a header's value; several lines of it make one list (RFC 9110, 5.3)."""
        values = [value for each, value in self.headers if each == name]
        return ", ".join(values) if values else None

    def having(self, *headers: tuple[str, str]) -> Self:
        """Return the response with more header lines."""
        return replace(self, headers=(*self.headers, *headers))

    def with_one(self, name: str, value: str) -> Self:
        """Return the response with this header in the place of all of its name."""
        others = tuple(header for header in self.headers if header[0] != name)
        return replace(self, headers=(*others, (name, value)))

    def without(self, headers: Headers) -> Self:
        """Return the response without these lines, each taken away once."""
        kept = list(self.headers)
        for header in headers:
            if header in kept:
                kept.remove(header)
        return replace(self, headers=tuple(kept))

    def lifetime(self, expire: int, *, public: bool, vary: Collection[str]) -> int:
        """Return the seconds for which it may be kept: 0 if HTTP or its route say so (RFC 9111, 3)."""
        directives = _directives(self.get("cache-control"))
        if (
            self.status not in _STORED_STATUS
            or self.get("set-cookie") is not None
            or directives.keys() & {"no-store", "no-cache"}
            or (public and "private" in directives)
            or not _directives(self.get("vary")).keys() <= set(vary)
        ):
            return 0
        own = directives.get("s-maxage") or directives.get("max-age") or ""
        return min(expire, int(own)) if own.isdecimal() else expire

    def described(self, cache_control: str) -> Self:
        """Return it with a strong ETag and `Cache-Control`; what the route set stays."""
        kept = tuple(header for header in self.headers if header[0] not in _OF_ONE_MESSAGE)
        response = replace(self, headers=kept)
        if self.get("etag") is None and self.status == 200:
            response = response.having(("etag", f'"{_digest(self.body).hex()}"'))
        if self.get("cache-control") is None:
            response = response.having(("cache-control", cache_control))
        return response

    def varying(self, names: Sequence[str]) -> Self:
        """Return it with one `Vary` that names these headers too."""
        merged = dict.fromkeys([*_directives(self.get("vary")), *names])
        return self.with_one("vary", ", ".join(merged)) if merged else self

    def answering(self, if_none_match: str | None) -> Self:
        """Return what to send: a 304 without a body if the caller has this very response (RFC 9110, 13.1.2)."""
        etag = self.get("etag")
        if self.status != 200 or etag is None or if_none_match is None:
            return self
        known = _ENTITY_TAG.findall(if_none_match)  # compared weakly: `W/` does not count
        if if_none_match.strip() != "*" and etag.removeprefix("W/") not in known:
            return self
        headers = tuple(header for header in self.headers if header[0] not in _OF_A_BODY)
        return replace(self, status=304, headers=headers, body=b"")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`stored_at` is in seconds since the epoch; `versions` are those its tags had when it was begun.

    `takes_headers`: whether FastAPI adds what dependencies set to this route's response.
    """

    response: CompleteResponse
    takes_headers: bool
    stored_at: float
    versions: tuple[str, ...]

    @property
    def age(self) -> int:
        """Seconds (RFC 9111, 5.1)."""
        return max(0, int(time.time() - self.stored_at))

    def dump(self, key: str) -> bytes:
        """Return it as bytes: a digest, a line of JSON, the body. Nothing in it is ever run."""
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
        """Raises ValueError for anything but what `dump` returned for the same key."""
        content = dumped[_DIGEST:]
        if _digest(content, key) != dumped[:_DIGEST]:
            raise ValueError("not a stored response")
        line, _, body = content.partition(b"\n")
        status, headers, takes_headers, stored_at, versions = json.loads(line)
        response = CompleteResponse(status, tuple((name, value) for name, value in headers), body)
        return cls(response, takes_headers, stored_at, tuple(versions))


def _digest(content: bytes, key: str = "") -> bytes:
    return blake2b(content, digest_size=_DIGEST, key=key.encode()[:64]).digest()


def _directives(field: str | None) -> dict[str, str]:
    """Return the members of a list field, in lower case, with their arguments."""
    members = (item.strip().lower().partition("=") for item in (field or "").split(","))
    return {name.strip(): argument.strip(' "') for name, _, argument in members if name}
