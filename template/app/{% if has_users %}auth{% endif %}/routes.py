"""Signing in."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordRequestForm

from app.auth.client_ip import ClientIpDep
from app.auth.dependencies import AccessTokensDep, SignInServiceDep
from app.auth.schemas import Token

router = APIRouter(tags=["auth"])


@router.post("/token")
async def sign_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    service: SignInServiceDep,
    tokens: AccessTokensDep,
    client_ip: ClientIpDep,
) -> Token:
    """Issue an access token for the OAuth2 password form: `username` is the e-mail address."""
    access_token = await service.sign_in(form.username, form.password, client_ip)
    return Token(access_token=access_token, expires_in=int(tokens.lifetime.total_seconds()))
