"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.auth.limiter import SignInLimiter
from app.auth.service import Authenticator, SignInService
from app.auth.tokens import AccessTokens
from app.kit.lifecycle import Resolve, RootScope


def register(container: RootScope) -> None:
    container.register(AccessTokens, lifespan=Lifespan.singleton)
    container.register(SignInLimiter, lifespan=Lifespan.singleton)
    container.register(SignInService, lifespan=Lifespan.scoped)
    container.register(Authenticator, lifespan=Lifespan.scoped)


AccessTokensDep = Annotated[AccessTokens, Resolve(AccessTokens)]
SignInLimiterDep = Annotated[SignInLimiter, Resolve(SignInLimiter)]
SignInServiceDep = Annotated[SignInService, Resolve(SignInService)]
AuthenticatorDep = Annotated[Authenticator, Resolve(Authenticator)]
