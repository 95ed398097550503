"""The current user: a parameter `user: CurrentUserDep` requires a signed-in user."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.dependencies import AuthenticatorDep
from app.auth.errors import NotAuthenticated
from app.kit.errors import raises
from app.users.models import User

_bearer = HTTPBearer(scheme_name="bearerAuth", bearerFormat="JWT", auto_error=False)


@raises(NotAuthenticated)
async def get_current_user(
    authenticator: AuthenticatorDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    if credentials is None:
        raise NotAuthenticated("Please sign in.")
    return await authenticator.authenticate(credentials.credentials)


CurrentUserDep = Annotated[User, Depends(get_current_user)]
