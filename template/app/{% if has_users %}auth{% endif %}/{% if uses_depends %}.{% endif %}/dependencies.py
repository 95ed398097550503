"""How this slice's objects are made. A provider without `@singleton` runs once per request."""

from typing import Annotated

from fastapi import Depends

from app.auth.limits import SignInLimits
from app.auth.service import Authenticator, SignInService
from app.auth.tokens import AccessTokens, DeviceTokens
from app.kit.lifecycle import singleton
from app.kit.wiring import RateLimiterDep
from app.users.dependencies import PasswordHasherDep, UserRepositoryDep
from app.wiring import SettingsDep


@singleton
async def get_access_tokens(settings: SettingsDep) -> AccessTokens:
    return AccessTokens(settings)


AccessTokensDep = Annotated[AccessTokens, Depends(get_access_tokens)]


@singleton
async def get_device_tokens(settings: SettingsDep) -> DeviceTokens:
    return DeviceTokens(settings)


DeviceTokensDep = Annotated[DeviceTokens, Depends(get_device_tokens)]


@singleton
async def get_sign_in_limits(settings: SettingsDep, limiter: RateLimiterDep) -> SignInLimits:
    return SignInLimits(settings, limiter)


SignInLimitsDep = Annotated[SignInLimits, Depends(get_sign_in_limits)]


async def get_sign_in_service(
    repository: UserRepositoryDep,
    hasher: PasswordHasherDep,
    tokens: AccessTokensDep,
    devices: DeviceTokensDep,
    limits: SignInLimitsDep,
) -> SignInService:
    return SignInService(repository, hasher, tokens, devices, limits)


SignInServiceDep = Annotated[SignInService, Depends(get_sign_in_service)]


async def get_authenticator(
    repository: UserRepositoryDep, tokens: AccessTokensDep
) -> Authenticator:
    return Authenticator(repository, tokens)


AuthenticatorDep = Annotated[Authenticator, Depends(get_authenticator)]
