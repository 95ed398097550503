"""Who calls: `CurrentUserDep` makes a route one for signed-in users."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.dependencies import AuthenticatorDep
from app.auth.errors import NotAuthenticated
from app.users.models import User

_bearer = HTTPBearer(scheme_name="bearerAuth", bearerFormat="JWT", auto_error=False)


async def get_current_user(
    authenticator: AuthenticatorDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    if credentials is None:
        raise NotAuthenticated("Please sign in.")
    return await authenticator.user(credentials.credentials)


CurrentUserDep = Annotated[User, Depends(get_current_user)]
