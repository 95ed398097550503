"""The rules of HTTP for storing and sending a response."""

import pytest

from app.kit.cache.responses import CompleteResponse, StoredResponse

RESPONSE = CompleteResponse(200, (("etag", '"a,b"'), ("content-type", "text/plain")), b"body")


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [
        (None, 200),
        ("*", 304),
        (" * ", 304),
        ('"a,b"', 304),
        ('W/"a,b"', 304),
        ('"x", "a,b"', 304),
        ('"x",W/"a,b" , "y"', 304),
        ('"a"', 200),
        ('"b"', 200),
        ('"A,B"', 200),
        ("a,b", 200),
        ('"*"', 200),
        ("", 200),
    ],
)
def test_if_none_match(if_none_match: str | None, status: int) -> None:
    answer = RESPONSE.apply_condition(if_none_match)
    assert answer.status == status
    if status == 304:
        assert (answer.headers, answer.body) == ((("etag", '"a,b"'),), b"")


def test_condition_applies_to_status_200_only() -> None:
    response = CompleteResponse(404, (("etag", '"a"'),), b"")
    assert response.apply_condition("*") is response


def test_headers_of_the_route_are_kept() -> None:
    response = CompleteResponse(200, (("etag", 'W/"own"'), ("cache-control", "max-age=3")), b"")
    assert response.add_validators("public, max-age=60") == response


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=0, must-revalidate", 0),
        ("max-age=10", 10),
        ("max-age=100", 60),
        ('s-maxage="5", max-age=10', 5),
        ("No-Store", 0),
        ("private", 0),
        ("max-age=soon", 60),
        ("", 60),
    ],
)
def test_cache_control_of_the_route_limits_the_storage_time(
    cache_control: str, seconds: int
) -> None:
    response = CompleteResponse(200, (("cache-control", cache_control),), b"")
    assert response.storage_seconds(60, public=True, vary=()) == seconds


def test_stored_response_loads_unchanged() -> None:
    response = CompleteResponse(200, (("set", "é"), ("set", "b")), b"\x00\n{}\n")
    stored = StoredResponse(response, True, 12.5, ("a", "b"))
    assert StoredResponse.load("key", stored.dump("key")) == stored


def test_garbage_does_not_load() -> None:
    stored = StoredResponse(RESPONSE, False, 12.5, ())
    dumped, others = stored.dump("key"), stored.dump("another key")
    changed = bytes([dumped[-1] ^ 1])
    for garbage in (
        b"",
        b"{}",
        b"x" * 100,
        dumped[:-1],
        dumped[:-1] + changed,
        dumped + b" ",
        others,
    ):
        with pytest.raises(ValueError, match="not a stored response"):
            StoredResponse.load("key", garbage)
