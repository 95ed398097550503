"""The same object in a WebSocket route."""

from fastapi.testclient import TestClient


def test_websocket_route_reads_the_user_agent(sync_client: TestClient) -> None:
    headers = {"User-Agent": "chat/2"}
    with sync_client.websocket_connect("/examples/user-agent", headers=headers) as websocket:
        assert websocket.receive_json() == {"text": "chat/2", "product": "chat"}
