"""How this slice's objects are made. A provider without `@singleton` runs once per request."""

from typing import Annotated

from fastapi import Depends

from app.auth.limiter import SignInLimiter
from app.auth.service import Authenticator, SignInService
from app.auth.tokens import AccessTokens
from app.kit.lifecycle import singleton
from app.users.dependencies import PasswordHasherDep, UserRepositoryDep
from app.wiring import SettingsDep


@singleton
async def get_access_tokens(settings: SettingsDep) -> AccessTokens:
    return AccessTokens(settings)


AccessTokensDep = Annotated[AccessTokens, Depends(get_access_tokens)]


@singleton
async def get_sign_in_limiter(settings: SettingsDep) -> SignInLimiter:
    return SignInLimiter(settings)


SignInLimiterDep = Annotated[SignInLimiter, Depends(get_sign_in_limiter)]


async def get_sign_in_service(
    repository: UserRepositoryDep,
    hasher: PasswordHasherDep,
    tokens: AccessTokensDep,
    limiter: SignInLimiterDep,
) -> SignInService:
    return SignInService(repository, hasher, tokens, limiter)


SignInServiceDep = Annotated[SignInService, Depends(get_sign_in_service)]


async def get_authenticator(
    repository: UserRepositoryDep, tokens: AccessTokensDep
) -> Authenticator:
    return Authenticator(repository, tokens)


AuthenticatorDep = Annotated[Authenticator, Depends(get_authenticator)]
