"""WebSockets: a hub of rooms that neither a slow nor a lost client can hold up.

A slice subclasses `SocketEndpoint` and runs a `ConnectionHandler` for each connection; anything
else sends through the `Hub`.
"""

from app.kit.websockets.connection import Connection
from app.kit.websockets.endpoint import Member, SocketEndpoint
from app.kit.websockets.handler import ConnectionHandler
from app.kit.websockets.hub import Hub, open_hub
from app.kit.websockets.messages import Message, message_adapter

__all__ = [
    "Connection",
    "ConnectionHandler",
    "Hub",
    "Member",
    "Message",
    "SocketEndpoint",
    "message_adapter",
    "open_hub",
]
