"""What HTTP says of keeping and sending a response."""

import pytest

from app.cache.responses import CompleteResponse, StoredResponse

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
    answer = RESPONSE.answering(if_none_match)
    assert answer.status == status
    if status == 304:
        assert (answer.headers, answer.body) == ((("etag", '"a,b"'),), b"")


def test_other_statuses_have_no_condition() -> None:
    response = CompleteResponse(404, (("etag", '"a"'),), b"")
    assert response.answering("*") is response


def test_the_routes_own_headers_stay() -> None:
    response = CompleteResponse(200, (("etag", 'W/"own"'), ("cache-control", "max-age=3")), b"")
    assert response.described("public, max-age=60", ()) == response


def test_it_is_the_same_after_storing() -> None:
    response = CompleteResponse(200, (("set", "é"), ("set", "b")), b"\x00\n{}\n")
    stored = StoredResponse(response, 12.5, ("a", "b"))
    assert StoredResponse.load(stored.dump()) == stored


def test_garbage_is_no_stored_response() -> None:
    dumped = StoredResponse(RESPONSE, 12.5, ()).dump()
    changed = bytes([dumped[-1] ^ 1])
    for garbage in (b"", b"{}", b"x" * 100, dumped[:-1], dumped[:-1] + changed, dumped + b" "):
        with pytest.raises(ValueError, match="not a stored response"):
            StoredResponse.load(garbage)
