"""What a container knows of a type, and what a plain provider of it is called."""

import re
from types import ModuleType
from typing import Any, NamedTuple, get_args

from app.kit.lifecycle import WiringError
from app.kit.lifecycle.providers import name_of


class Registration(NamedTuple):
    wanted: Any
    source: Any
    """The class or function that makes it."""
    is_singleton: bool
    is_kept: bool
    """Whether a scope makes one of it, not one for each that needs it."""


class Names(NamedTuple):
    type: str
    alias: str
    provider: str


def names_of(wanted: Any) -> Names:
    """Return `User`, `UserDep` and `get_user`, or `list[User]`, `UserListDep`, `get_user_list`."""
    text = re.sub(r"[\w.]+\.", "", str(wanted)) if get_args(wanted) else name_of(wanted)
    words = [each[:1].upper() + each[1:] for each in re.findall(r"\w+", text)]
    name = "".join(reversed(words))
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return Names(text, f"{name}Dep", f"get_{snake}")


def not_plain(module: ModuleType, wanted: Any, fault: str, remedy: str = "") -> WiringError:
    """Return an error that says what to write instead of what only the container can do."""
    type_, alias, provider = names_of(wanted)
    remedy = remedy or (
        f"instead, write `async def {provider}(...) -> {type_}` "
        f"and `{alias} = Annotated[{type_}, Depends({provider})]`"
    )
    return WiringError(f"{module.__name__.replace('.', '/')}.py: {type_} {fault}: {remedy}")
