"""What an operator does with users from the command line."""

import getpass
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.overrides import Override
from app.settings import Settings
from app.users.schemas import Email, NewPassword
from app.users.service import UserService
from app.wiring import open_root_scope


async def create_admin(settings: Settings, email: str, overrides: Sequence[Override] = ()) -> str:
    """Make the user an admin, or add one with a password that is asked for. Return what was done.

    Raises ValueError, saying what is allowed, for an unusable address or password.
    """
    email = _valid(Email, email)
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        users = await scope.resolve(UserService)
        if await users.make_admin(email):
            return f"{email} is an admin now."
        password = _valid(NewPassword, _ask_password()).get_secret_value()
        if not await users.register(email, password, is_admin=True):
            raise ValueError(
                f"{email} was registered by somebody else meanwhile; please try again."
            )
        return f"{email} was added as an admin."


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("There is no such user yet. Password: ")
    if getpass.getpass("Once more: ") != password:
        raise ValueError("The passwords differ.")
    return password


def _valid(kind: Any, value: str) -> Any:
    """Return the validated value. Raises ValueError without repeating the input: it may be a password."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ValueError("; ".join(each["msg"] for each in error.errors())) from None
