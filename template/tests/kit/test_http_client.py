"""The HTTP client, which all callers share."""

from httpx2 import Request, Response

from app.kit.http_client import open_http_client
from app.settings import Settings

URL = "https://host.test/"


async def test_cookie_of_one_response_is_not_sent_with_the_next_request(
    settings: Settings,
) -> None:
    async with open_http_client(settings) as client:
        headers = {"Set-Cookie": "session=ada"}
        client.cookies.extract_cookies(Response(200, headers=headers, request=Request("GET", URL)))
        request = Request("GET", URL)
        client.cookies.set_cookie_header(request)
        assert "Cookie" not in request.headers
