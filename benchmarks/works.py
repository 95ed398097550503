"""The work that is measured, and how each subject is asked for it."""

import itertools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from benchmarks.load import RequestMaker, request
from benchmarks.measure import Runner
from benchmarks.subjects import Subject

PASSWORD = "correct horse battery"


Maker = Callable[[Subject, str], RequestMaker]
"""Takes a subject and an access token."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request: its title, the expected status, and how it is sent to a subject."""

    name: str
    title: str
    status: int
    maker: Maker
    path: str = ""
    """Of a GET that the limit answers with the same bytes as a rendered service."""

    @property
    def same_bytes(self) -> bool:
        return bool(self.path)

    def runner(self, subject: Subject, token: str) -> Runner:
        return Runner(subject, self.maker(subject, token), self.status)

    def answer(self, subject: Subject, token: str) -> bytes:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.get(subject.url + self.path, headers=headers, timeout=10).content


def _get(path: str) -> Maker:
    def make(subject: Subject, token: str) -> RequestMaker:
        written = request(subject.url, path, headers={"Authorization": f"Bearer {token}"})
        return lambda: written

    return make


def _unsigned(path: str) -> Maker:
    def make(subject: Subject, _: str) -> RequestMaker:
        written = request(subject.url, path)
        return lambda: written

    return make


def _register(subject: Subject, _: str) -> RequestMaker:
    prefix, numbers = uuid.uuid4().hex, itertools.count()

    def make() -> bytes:
        new = {"email": f"{prefix}{next(numbers)}@example.com", "password": PASSWORD}
        return request(subject.url, "/register", "POST", json.dumps(new).encode())

    return make


def _not_valid(subject: Subject, _: str) -> RequestMaker:
    body = json.dumps({"email": "nobody", "password": "short"}).encode()
    written = request(subject.url, "/register", "POST", body)
    return lambda: written


def _not_modified(subject: Subject, _: str) -> RequestMaker:
    etag = httpx2.get(f"{subject.url}/bench/kept").headers["etag"]
    written = request(subject.url, "/bench/kept", headers={"If-None-Match": etag})
    return lambda: written


def of_peer(peer: Subject) -> list[tuple[Work, Runner]]:
    """Return the works that the peer has, too; it signs users in, but lists rows to everybody."""
    user = {"email": "somebody@example.com", "password": PASSWORD}
    httpx2.post(f"{peer.url}/api/auth/register", json=user).raise_for_status()
    form = {"username": user["email"], "password": PASSWORD}
    answer = httpx2.post(f"{peer.url}/api/auth/jwt/login", data=form).raise_for_status()
    token = answer.json()["access_token"]
    for number in range(1000):
        row = {"name": f"row {number}"}
        httpx2.put(f"{peer.url}/api/dummy/", json=row).raise_for_status()

    def add(subject: Subject, _: str) -> RequestMaker:
        written = request(subject.url, "/api/dummy/", "PUT", b'{"name": "row"}')
        return lambda: written

    makers = {
        LIVEZ: (_unsigned("/api/health"), 200),
        PROFILE: (_get("/api/users/me"), 200),
        PAGE: (_unsigned("/api/dummy/?limit=20"), 200),
        REGISTER: (add, 200),
        NOT_FOUND: (_unsigned("/nowhere"), 404),
    }
    return [
        (work, Runner(peer, maker(peer, token), status)) for work, (maker, status) in makers.items()
    ]


LIVEZ = Work("livez", "`GET /livez`", 200, _unsigned("/livez"), "/livez")
PROFILE = Work(
    "profile", "`GET /profile`, signed in: a row by its key", 200, _get("/profile"), "/profile"
)
PAGE = Work(
    "page", "`GET /users`, signed in: a page of 20", 200, _get("/users?size=20"), "/users?size=20"
)
REGISTER = Work("register", "`POST /register`: insert and commit", 201, _register)
NOT_FOUND = Work("404", "404", 404, _unsigned("/nowhere"))
NOT_VALID = Work("422", "422", 422, _not_valid)
STREAM = Work("stream", "a stream of 10 MB", 200, _unsigned("/bench/stream"), "/bench/stream")
CLIENT = Work("client", "a route that uses an HTTP client", 200, _unsigned("/bench/client"))
SCOPED = Work("scoped", "a route with an object per request", 200, _unsigned("/bench/scoped"))
COMPUTED = Work("computed", "a route that costs 1 ms", 200, _unsigned("/bench/computed"))
KEPT = Work("kept", "the same, from the cache", 200, _unsigned("/bench/kept"))
NOT_MODIFIED = Work("304", "the same, not modified", 304, _not_modified)
