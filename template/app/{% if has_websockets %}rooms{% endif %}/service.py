"""Entering a room and sending to it."""

from app.kit.errors import NotAllowed
from app.kit.websockets import Hub, Member
from app.rooms.messages import Said, Say
from app.rooms.policy import RoomPolicy


class RoomService:
    def __init__(self, hub: Hub, policy: RoomPolicy) -> None:
        self.hub = hub
        self.policy = policy

    async def enter(self, room: str, member: Member) -> None:
        """Raise NotAllowed unless the member may be in the room."""
        if not await self.policy.may_enter(room, member):
            raise NotAllowed("You may not enter this room.")

    async def receive(self, room: str, member: Member, message: Say) -> None:
        """Pass a member's message on. Raise NotAllowed if the member may not send."""
        if not await self.policy.may_send(room, member):
            raise NotAllowed("You may not send to this room.")
        await self.say(room, member.name, message.text)

    async def say(self, room: str, sender: str, text: str) -> None:
        """Send to everyone in the room, without asking the policy."""
        await self.hub.broadcast(room, Said(room=room, sender=sender, text=text))
