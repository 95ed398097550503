"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Form, Header, HTTPException, Response

from app.auth.current_user import CurrentUserDep
from app.auth.dependencies import AccessTokensDep, DeviceTokensDep, SignInServiceDep
from app.auth.errors import NotAuthenticated
from app.auth.schemas import SignIn, Token
from app.kit.client_ip import ClientIpDep
from app.kit.errors import NotFound, raises
from app.users.dependencies import UserServiceDep
from app.wiring import SettingsDep

router = APIRouter(tags=["auth"])

_FORM = "application/x-www-form-urlencoded"


@router.post("/token")
@raises(NotAuthenticated)
async def sign_in(
    form: Annotated[SignIn, Form()],
    service: SignInServiceDep,
    tokens: AccessTokensDep,
    devices: DeviceTokensDep,
    settings: SettingsDep,
    client_ip: ClientIpDep,
    response: Response,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
    device: Annotated[str | None, Cookie(include_in_schema=False)] = None,
) -> Token:
    """Issue an access token for the OAuth2 password form: `username` is the e-mail address."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"Send the form as {_FORM}.")
    password = form.password.get_secret_value()
    signed_in = await service.sign_in(form.username, password, client_ip, device)
    response.set_cookie(
        "device",
        signed_in.device_token,
        max_age=int(devices.lifetime.total_seconds()),
        path=f"{settings.root_path}/token",
        secure=settings.environment != "development",
        httponly=True,
        samesite="strict",
    )
    lifetime = int(tokens.lifetime.total_seconds())
    return Token(access_token=signed_in.access_token, expires_in=lifetime)


@router.post("/sign-out", status_code=204)
@raises(NotFound)
async def sign_out(user: CurrentUserDep, users: UserServiceDep) -> None:
    """End all access tokens and connections of the user, on every device."""
    await users.end_sessions(user)
