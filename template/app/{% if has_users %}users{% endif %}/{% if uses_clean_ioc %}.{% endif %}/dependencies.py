"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.lifecycle import Resolve, RootScope
from app.users.emails import UserMails
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.service import UserService


def register(container: RootScope) -> None:
    container.register(PasswordHasher, factory=make_password_hasher, lifespan=Lifespan.singleton)
    container.register(UserRepository, lifespan=Lifespan.scoped)
    container.register(UserMails, lifespan=Lifespan.scoped)
    container.register(UserService, lifespan=Lifespan.scoped)


def make_password_hasher() -> PasswordHasher:
    return PasswordHasher(Argon2Hasher())


PasswordHasherDep = Annotated[PasswordHasher, Resolve(PasswordHasher)]
UserRepositoryDep = Annotated[UserRepository, Resolve(UserRepository)]
UserMailsDep = Annotated[UserMails, Resolve(UserMails)]
UserServiceDep = Annotated[UserService, Resolve(UserService)]
