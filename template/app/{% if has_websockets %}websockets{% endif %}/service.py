"""What can be done in a room."""

from app.websockets.manager import ConnectionManager
from app.websockets.messages import Said


class RoomService:
    def __init__(self, connections: ConnectionManager) -> None:
        self.connections = connections

    async def say(self, room: str, sender: str, text: str) -> None:
        """Send to everybody in the room, the sender included."""
        await self.connections.broadcast(room, Said(room=room, sender=sender, text=text))
