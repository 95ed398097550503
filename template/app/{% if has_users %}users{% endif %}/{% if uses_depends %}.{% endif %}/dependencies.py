"""How this slice's objects are made. What a plain `get_...` makes lives for one request."""

from typing import Annotated

from fastapi import Depends
from pwdlib.hashers.argon2 import Argon2Hasher

from app.scopes import singleton
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.service import UserService
from app.wiring import SessionDep, TransactionDep


@singleton
async def get_password_hasher() -> PasswordHasher:
    return PasswordHasher(Argon2Hasher())


PasswordHasherDep = Annotated[PasswordHasher, Depends(get_password_hasher)]


async def get_user_repository(session: SessionDep) -> UserRepository:
    return UserRepository(session)


UserRepositoryDep = Annotated[UserRepository, Depends(get_user_repository)]


async def get_user_service(
    users: UserRepositoryDep, transaction: TransactionDep, passwords: PasswordHasherDep
) -> UserService:
    return UserService(users, transaction, passwords)


UserServiceDep = Annotated[UserService, Depends(get_user_service)]
