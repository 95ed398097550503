"""The messages of every WebSocket: JSON objects, told apart by their `type`."""

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Message(BaseModel):
    """Base of all messages; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class Ping(Message):
    """Answered by `pong`. Browsers cannot send the protocol's own pings."""

    type: Literal["ping"]


class Authenticate(Message):
    """Signs a client in. Sent again with a new token, it extends the connection.

    It must be the first message unless the token came as a subprotocol.
    """

    type: Literal["authenticate"]
    access_token: str = Field(max_length=4096)


class Ready(Message):
    """The connection has entered its room; `sender` is the client's own name."""

    type: Literal["ready"] = "ready"
    room: str
    sender: str


class Pong(Message):
    type: Literal["pong"] = "pong"


class Error(Message):
    """The client's message was invalid or refused; the connection stays open."""

    type: Literal["error"] = "error"
    detail: str


class Resync(Message):
    """Messages from other workers may have been lost: fetch over HTTP what matters."""

    type: Literal["resync"] = "resync"


def message_adapter(*messages: type[Message]) -> TypeAdapter[Any]:
    """Return a parser for what clients may send: these messages, `ping` and `authenticate`.

    Each needs a field such as `type: Literal["say"]`.
    """
    received: Any = Union[(*messages, Ping, Authenticate)]
    return TypeAdapter(Annotated[received, Field(discriminator="type")])
