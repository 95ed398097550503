"""Settings of WebSockets."""

from pydantic import Field
from pydantic_settings import BaseSettings


class WebsocketsSettings(BaseSettings):
    websocket_max_connections: int = Field(default=10_000, ge=1)
    """Maximum connections of each worker; more are refused with 503."""
    websocket_max_message_size: int = Field(default=64 * 1024, ge=1)
    """Maximum bytes of a client's message; a larger one closes the connection (1009)."""
    websocket_rate: float = Field(default=10.0, gt=0)
    """Messages per second that a client may send on average; more close the connection (4429)."""
    websocket_burst: int = Field(default=30, ge=1)
    """Messages that a client may send at once."""
    websocket_ping_interval: float = Field(default=20.0, gt=0)
    """Seconds between pings; a client has as many to answer, else it is closed (1011)."""
    websocket_idle_timeout: float = Field(default=600.0, gt=0)
    """Seconds without a message until a client is closed (4408). It may send `ping`."""
    websocket_outbox_messages: int = Field(default=256, ge=1)
    """Maximum messages that wait for a slow client; more close it (1013)."""
    websocket_outbox_size: int = Field(default=1024 * 1024, ge=1)
    """Maximum bytes of these messages."""
    websocket_send_timeout: float = Field(default=5.0, gt=0)
    """Seconds until a client that reads nothing is closed (1013)."""
    websocket_sign_in_timeout: float = Field(default=10.0, gt=0)
    """Seconds within which a client without a token must send `authenticate` (else 4401)."""
