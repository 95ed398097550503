"""How this slice's objects are made. What a plain `get_...` makes lives for one request."""

from typing import Annotated

from fastapi import Depends

from app.auth.attempts import Attempts
from app.auth.service import Authenticator, SignIn
from app.auth.tokens import AccessTokens
from app.scopes import singleton
from app.users.dependencies import PasswordHasherDep, UserRepositoryDep
from app.wiring import SettingsDep


@singleton
async def get_access_tokens(settings: SettingsDep) -> AccessTokens:
    return AccessTokens(settings)


AccessTokensDep = Annotated[AccessTokens, Depends(get_access_tokens)]


@singleton
async def get_attempts(settings: SettingsDep) -> Attempts:
    return Attempts(settings)


AttemptsDep = Annotated[Attempts, Depends(get_attempts)]


async def get_sign_in(
    users: UserRepositoryDep,
    passwords: PasswordHasherDep,
    tokens: AccessTokensDep,
    attempts: AttemptsDep,
) -> SignIn:
    return SignIn(users, passwords, tokens, attempts)


SignInDep = Annotated[SignIn, Depends(get_sign_in)]


async def get_authenticator(users: UserRepositoryDep, tokens: AccessTokensDep) -> Authenticator:
    return Authenticator(users, tokens)


AuthenticatorDep = Annotated[Authenticator, Depends(get_authenticator)]
