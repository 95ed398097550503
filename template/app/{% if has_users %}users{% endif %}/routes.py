"""Registration, one's own profile, and users as an admin sees them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query

from app.auth.address import AddressDep
from app.auth.current_user import CurrentUserDep
from app.auth.dependencies import AttemptsDep
from app.scopes import RootScopeDep
from app.users.dependencies import UserServiceDep
from app.users.emails import send_welcome
from app.users.models import User
from app.users.schemas import (
    PasswordChange,
    ProfileChanges,
    Register,
    Registered,
    UserPage,
    UserRead,
)

router = APIRouter(tags=["users"])


@router.get("/profile", response_model=UserRead)
async def get_profile(user: CurrentUserDep) -> User:
    return user


@router.patch("/profile", response_model=UserRead)
async def change_profile(
    changes: ProfileChanges, user: CurrentUserDep, users: UserServiceDep
) -> User:
    return await users.change(user, changes.model_dump(exclude_unset=True))


@router.post("/profile/password", status_code=204)
async def change_password(
    change: PasswordChange,
    user: CurrentUserDep,
    users: UserServiceDep,
    attempts: AttemptsDep,
    address: AddressDep,
) -> None:
    await attempts.count(user.email, address)
    await users.change_password(
        user, change.current_password.get_secret_value(), change.new_password.get_secret_value()
    )


@router.delete("/profile", status_code=204)
async def delete_profile(user: CurrentUserDep, users: UserServiceDep) -> None:
    await users.delete(user)


@router.post("/register", status_code=201)
async def register(
    registration: Register,
    users: UserServiceDep,
    attempts: AttemptsDep,
    address: AddressDep,
    tasks: BackgroundTasks,
    root_scope: RootScopeDep,
) -> Registered:
    """The answer does not tell whether the address was known: a mail tells its owner."""
    await attempts.count(registration.email, address)
    new = await users.register(registration.email, registration.password.get_secret_value())
    tasks.add_task(send_welcome, root_scope, registration.email, new=new)
    return Registered(email=registration.email)


@router.get("/users", response_model=UserPage)
async def list_users(
    user: CurrentUserDep,
    users: UserServiceDep,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: UUID | None = None,
) -> dict[str, object]:
    """For admins: all users, in the order in which they came."""
    found = await users.page(size + 1, cursor, seen_by=user)
    items = found[:size]
    return {"items": items, "next_cursor": items[-1].id if len(found) > size else None}


@router.get("/users/{user_id}", response_model=UserRead)
async def get_user(user_id: UUID, user: CurrentUserDep, users: UserServiceDep) -> User:
    """Oneself; for an admin, anyone."""
    return await users.get(user_id, seen_by=user)
