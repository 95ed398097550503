"""Who may connect: users, by an access token. Never in the URL, which is logged on its way."""

from dataclasses import dataclass

from starlette.websockets import WebSocket

from app.auth.errors import NotAuthenticated
from app.auth.service import Authenticator
from app.auth.tokens import AccessTokens
from app.scopes import RootScope

_PROTOCOL = "bearer"


@dataclass(frozen=True, slots=True)
class Visitor:
    name: str
    expires_at: float
    """Seconds since the epoch."""


async def admit(websocket: WebSocket, root_scope: RootScope) -> Visitor | None:
    """Return who connects; None for somebody who has yet to say it.

    A page says `new WebSocket(url, ["bearer", token])`. Raises NotAuthenticated for a bad token.
    """
    if subprotocol(websocket) is None:
        return None
    protocols = websocket.scope["subprotocols"]
    if len(protocols) != 2:
        raise NotAuthenticated('Send the subprotocols "bearer" and the access token.')
    return await authenticate(protocols[1], root_scope)


async def authenticate(token: str, root_scope: RootScope) -> Visitor:
    """Return whose token it is. Raises NotAuthenticated."""
    async with root_scope.new_scope() as scope:
        user = await (await scope.resolve(Authenticator)).user(token)
        tokens = await scope.resolve(AccessTokens)
        return Visitor(name=str(user.id), expires_at=tokens.expires_at(token))


def subprotocol(websocket: WebSocket) -> str | None:
    """Return the one that is spoken."""
    return _PROTOCOL if _PROTOCOL in websocket.scope["subprotocols"][:1] else None
