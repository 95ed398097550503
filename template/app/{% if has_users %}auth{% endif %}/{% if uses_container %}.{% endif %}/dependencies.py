"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.auth.attempts import Attempts
from app.auth.service import Authenticator, SignIn
from app.auth.tokens import AccessTokens
from app.graph import AppContainer
from app.scopes import Resolve


def register(container: AppContainer) -> None:
    container.register(AccessTokens, lifespan=Lifespan.singleton)
    container.register(Attempts, lifespan=Lifespan.singleton)
    container.register(SignIn, lifespan=Lifespan.scoped)
    container.register(Authenticator, lifespan=Lifespan.scoped)


AccessTokensDep = Annotated[AccessTokens, Resolve(AccessTokens)]
AttemptsDep = Annotated[Attempts, Resolve(Attempts)]
SignInDep = Annotated[SignIn, Resolve(SignIn)]
AuthenticatorDep = Annotated[Authenticator, Resolve(Authenticator)]
