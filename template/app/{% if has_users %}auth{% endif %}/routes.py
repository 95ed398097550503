"""Signing in."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordRequestForm

from app.auth.address import AddressDep
from app.auth.dependencies import AccessTokensDep, SignInDep
from app.auth.schemas import Token

router = APIRouter(tags=["auth"])


@router.post("/token")
async def sign_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    sign_in: SignInDep,
    tokens: AccessTokensDep,
    address: AddressDep,
) -> Token:
    """The OAuth2 password form: the e-mail address stands in `username`."""
    access_token = await sign_in(form.username, form.password, address)
    return Token(access_token=access_token, expires_in=int(tokens.lifetime.total_seconds()))
