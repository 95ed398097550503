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
_OF_ONE_MESSAGE = {"connection", "content-length", "date", "transfer-encoding"}
_OF_A_BODY = {"content-encoding", "content-language", "content-length", "content-type"}
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class CompleteResponse:
    status: int
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, status: int, raw: Iterable[tuple[bytes, bytes]], body: bytes) -> Self:
        """Return the response of an ASGI application, without what belongs to one message only."""
        decoded = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
        return cls(status, tuple(each for each in decoded if each[0] not in _OF_ONE_MESSAGE), body)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        if self.status in (204, 304):
            return headers
        return [*headers, (b"content-length", str(len(self.body)).encode())]

    def get(self, name: str) -> str | None:
        """Return a header's value; several lines of it make one list (RFC 9110, 5.3)."""
        values = [value for each, value in self.headers if each == name]
        return ", ".join(values) if values else None

    def with_headers(self, *new: tuple[str, str]) -> Self:
        """Return the response with headers in the place of those of the same names."""
        names = {name for name, _ in new}
        kept = (header for header in self.headers if header[0] not in names)
        return replace(self, headers=(*kept, *new))

    def may_be_stored(self, *, public: bool, vary: Collection[str]) -> bool:
        """Tell whether it may be kept for others: see RFC 9111, 3, and what its handler said of it."""
        directives = _items(self.get("cache-control"))
        return (
            self.status in _STORED_STATUS
            and self.get("set-cookie") is None
            and not directives & {"no-store", "no-cache"}
            and not (public and "private" in directives)
            and _items(self.get("vary")) <= {name.lower() for name in vary}
        )

    def described(self, cache_control: str, vary: Sequence[str]) -> Self:
        """Return it with a strong ETag, `Cache-Control` and `Vary`; what the handler set stays."""
        headers = []
        if self.get("etag") is None and self.status == 200:
            headers.append(("etag", f'"{_digest(self.body).hex()}"'))
        if self.get("cache-control") is None:
            headers.append(("cache-control", cache_control))
        if vary:
            headers.append(("vary", ", ".join(vary)))
        return self.with_headers(*headers)

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
    """`stored_at` is in seconds since the epoch; `versions` are those its tags had when it was begun."""

    response: CompleteResponse
    stored_at: float
    versions: tuple[str, ...]

    @property
    def age(self) -> int:
        """Seconds (RFC 9111, 5.1)."""
        return max(0, int(time.time() - self.stored_at))

    def dump(self) -> bytes:
        """Return it as bytes: a digest, a line of JSON, the body. Nothing in it is ever run."""
        line = [self.response.status, self.response.headers, self.stored_at, self.versions]
        content = json.dumps(line).encode() + b"\n" + self.response.body
        return _digest(content) + content

    @classmethod
    def load(cls, dumped: bytes) -> Self:
        """Raises ValueError for anything but what `dump` returned."""
        content = dumped[_DIGEST:]
        if _digest(content) != dumped[:_DIGEST]:
            raise ValueError("not a stored response")
        line, _, body = content.partition(b"\n")
        status, headers, stored_at, versions = json.loads(line)
        response = CompleteResponse(status, tuple((name, value) for name, value in headers), body)
        return cls(response, stored_at, tuple(versions))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST).digest()


def _items(field: str | None) -> set[str]:
    """Return the members of a list field in lower case, without their arguments."""
    return {item.partition("=")[0].strip().lower() for item in (field or "").split(",")} - {""}
