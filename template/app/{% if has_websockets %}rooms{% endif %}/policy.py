"""Decides who may enter a room and who may send to it."""

from app.kit.websockets import Hub, Member


class RoomPolicy:
    """Lets everyone in and everyone speak: edit it. Its constructor may take a repository."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def may_enter(self, room: str, member: Member) -> bool:
        return True

    async def may_send(self, room: str, member: Member) -> bool:
        return True

    async def remove(self, room: str, name: str) -> None:
        """Disconnect a member from a room at once, on every worker.

        Make `may_enter` refuse the member first: the client may connect again.
        """
        await self.hub.remove(room, name)
