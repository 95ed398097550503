"""The HTTP client, which all callers share."""

from httpx2 import Response

from app.kit.http_client import open_http_client
from app.settings import Settings


async def test_cookie_of_one_response_is_not_sent_with_the_next_request(
    settings: Settings,
) -> None:
    async with open_http_client(settings) as client:
        request = client.build_request("GET", "https://api.example/")
        client.cookies.extract_cookies(
            Response(200, headers={"Set-Cookie": "session=ada"}, request=request)
        )
        assert "Cookie" not in client.build_request("GET", "https://api.example/").headers
