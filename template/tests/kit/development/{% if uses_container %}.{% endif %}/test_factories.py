"""What keeps a factory from becoming a plain provider."""

import ast

import pytest

from app.kit.development.factories import Function, fault_of


def fault(text: str) -> str | None:
    (factory,) = ast.parse(text).body
    assert isinstance(factory, Function)
    return fault_of(factory)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@cache\ndef make() -> Pool: ...", "`@cache`"),
        ("def make(size: int = 3) -> Pool: ...", "a default"),
        ("def make(*, size: int = 3) -> Pool: ...", "a default"),
        ("def make(self) -> Pool:\n    return Pool(self.size)", "`self`"),
        ("def make() -> Iterator[Pool]:\n    error = yield Pool()", "the value of `yield`"),
        ("def make() -> Iterator[Pool]:\n    yield from pools()", "the value of `yield`"),
        ("def make() -> Iterator[Pool]:\n    yield Pool()\n    close()", "use `finally`"),
        (
            (
                "async def make() -> AsyncIterator[Pool]:\n"
                "    async with open() as pool:\n        yield pool\n    close()"
            ),
            "use `finally`",
        ),
        (
            (
                "def make() -> Iterator[Pool]:\n    try:\n        yield Pool()\n        close()\n"
                "    finally:\n        log()"
            ),
            "use `finally`",
        ),
    ],
)
def test_what_plain_providers_do_in_another_way_is_said(text: str, said: str) -> None:
    assert said in (fault(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        "@provide\n@staticmethod\ndef make(name: Name) -> Pool: ...",
        "@contextlib.contextmanager\ndef make() -> Iterator[Pool]:\n    yield Pool()",
        "def make() -> Iterator[Pool]:\n    try:\n        yield 1\n    finally:\n        end()",
        "def make() -> Iterator[Pool]:\n    with a() as b:\n        c()\n        yield b",
    ],
)
def test_what_they_do_alike_is_not(text: str) -> None:
    assert fault(text) is None
