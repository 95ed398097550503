"""The same object in a WebSocket route."""

from fastapi.testclient import TestClient


def test_it_says_who_connects(sync_client: TestClient) -> None:
    headers = {"User-Agent": "chat/2"}
    with sync_client.websocket_connect("/examples/user-agent", headers=headers) as websocket:
        assert websocket.receive_json() == {"text": "chat/2", "product": "chat"}
