"""The messages of a room: JSON objects, told apart by their `type`. Add yours."""

from typing import Literal

from pydantic import Field

from app.kit.websockets import Message, message_adapter


class Say(Message):
    """Sent to everyone in the room, including its sender."""

    type: Literal["say"]
    text: str = Field(min_length=1, max_length=4000)


class Said(Message):
    type: Literal["said"] = "said"
    room: str
    sender: str
    text: str


FROM_CLIENTS = message_adapter(Say)
"""Messages that clients may send, beside the kit's `ping` and `authenticate`."""
