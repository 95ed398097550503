"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from clean_ioc import Lifespan

from app.auth.limits import SignInLimits
from app.auth.service import Authenticator, SignInService
from app.auth.tokens import AccessTokens, DeviceTokens
from app.kit.lifecycle import Resolve, RootScope


def register(container: RootScope) -> None:
    container.register(AccessTokens, lifespan=Lifespan.singleton)
    container.register(DeviceTokens, lifespan=Lifespan.singleton)
    container.register(SignInLimits, lifespan=Lifespan.singleton)
    container.register(SignInService, lifespan=Lifespan.scoped)
    container.register(Authenticator, lifespan=Lifespan.scoped)


AccessTokensDep = Annotated[AccessTokens, Resolve(AccessTokens)]
DeviceTokensDep = Annotated[DeviceTokens, Resolve(DeviceTokens)]
SignInLimitsDep = Annotated[SignInLimits, Resolve(SignInLimits)]
SignInServiceDep = Annotated[SignInService, Resolve(SignInService)]
AuthenticatorDep = Annotated[Authenticator, Resolve(Authenticator)]
