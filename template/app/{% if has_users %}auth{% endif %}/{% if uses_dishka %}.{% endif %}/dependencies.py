"""How this slice's objects are made, and how long they live."""

from typing import Annotated

from dishka import Provider, Scope, provide_all

from app.auth.limits import SignInLimits
from app.auth.service import Authenticator, SignInService
from app.auth.tokens import AccessTokens, DeviceTokens
from app.kit.lifecycle import Resolve


class AuthProvider(Provider):
    singletons = provide_all(AccessTokens, DeviceTokens, SignInLimits, scope=Scope.APP)
    scoped = provide_all(SignInService, Authenticator, scope=Scope.REQUEST)


AccessTokensDep = Annotated[AccessTokens, Resolve(AccessTokens)]
DeviceTokensDep = Annotated[DeviceTokens, Resolve(DeviceTokens)]
SignInLimitsDep = Annotated[SignInLimits, Resolve(SignInLimits)]
SignInServiceDep = Annotated[SignInService, Resolve(SignInService)]
AuthenticatorDep = Annotated[Authenticator, Resolve(Authenticator)]
