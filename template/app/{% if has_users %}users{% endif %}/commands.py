"""Commands for users."""

import getpass
import sys
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.kit.errors import ServiceError
from app.kit.lifecycle import WorkScope
from app.users.schemas import Email, NewPassword
from app.users.service import UserService


async def create_admin(scope: WorkScope, email: str) -> str:
    """Make a user an admin with a new password; add the user if necessary.

    Raise ServiceError for an invalid e-mail address or password.
    """
    email = _validate(Email, email)
    password = _validate(NewPassword, _ask_password()).get_secret_value()
    service = await scope.resolve(UserService)
    if await service.make_admin(email, password):
        return f"{email} is an admin now, with this password."
    if not await service.register(email, password, is_admin=True):
        raise ServiceError(f"{email} has just been registered; try again.")
    return f"{email} was added as an admin."


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("New password of the admin: ")
    if getpass.getpass("Repeat the password: ") != password:
        raise ServiceError("The passwords differ.")
    return password


def _validate(kind: Any, value: str) -> Any:
    """Return the valid value. Raise ServiceError without the input, which may be a password."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ServiceError("; ".join(each["msg"] for each in error.errors())) from None
