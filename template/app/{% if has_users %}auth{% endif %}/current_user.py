"""Who calls: `CurrentUserDep` makes a route one for signed-in users."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer

from app.auth.dependencies import AuthenticatorDep
from app.auth.errors import NotAuthenticated
from app.users.models import User

_bearer = HTTPBearer(scheme_name="bearerAuth", bearerFormat="JWT", auto_error=False)
# Reads the same header; in the OpenAPI document it gives /docs its form for e-mail and password.
_password_form = OAuth2PasswordBearer(
    tokenUrl="token", scheme_name="passwordForm", auto_error=False
)


async def get_current_user(
    authenticator: AuthenticatorDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    _: Annotated[str | None, Depends(_password_form)],
) -> User:
    if credentials is None:
        raise NotAuthenticated("Please sign in.")
    return await authenticator.user(credentials.credentials)


CurrentUserDep = Annotated[User, Depends(get_current_user)]
