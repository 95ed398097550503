"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from dishka import Provider, Scope, provide, provide_all
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.lifecycle import Resolve
from app.users.emails import UserMails
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
from app.users.service import UserService


class UserProvider(Provider):
    scoped = provide_all(UserRepository, UserMails, UserService, scope=Scope.REQUEST)

    @provide(scope=Scope.APP)
    def password_hasher(self) -> PasswordHasher:
        return PasswordHasher(Argon2Hasher())


PasswordHasherDep = Annotated[PasswordHasher, Resolve(PasswordHasher)]
UserRepositoryDep = Annotated[UserRepository, Resolve(UserRepository)]
UserMailsDep = Annotated[UserMails, Resolve(UserMails)]
UserServiceDep = Annotated[UserService, Resolve(UserService)]
