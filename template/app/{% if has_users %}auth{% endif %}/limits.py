"""Limits attempts to sign in, to register and to guess a password (OWASP ASVS 5.0, 6.3.1).

Each is counted apart, so that registering with an address keeps nobody from signing in with it.
"""

from uuid import UUID

from app.auth.tokens import VerifiedDevice
from app.kit.client_ip import network_of
from app.kit.rate_limits import RateLimit, RateLimiter
from app.settings import Settings


class SignInLimits:
    """Limits per account and per client, or per device if the user has signed in on it before."""

    def __init__(self, settings: Settings, limiter: RateLimiter) -> None:
        self.limiter = limiter
        self._seconds = settings.sign_in_limit_minutes * 60
        self._per_account = settings.sign_in_limit_per_account
        self._per_ip = settings.sign_in_limit_per_ip

    async def check_sign_in(
        self, email: str, client_ip: str, device: VerifiedDevice | None = None
    ) -> None:
        """Count an attempt. Raise TooManyRequests if it exceeds a limit."""
        if device is not None:
            await self.limiter.check(self._limit("device"), device.id)
        else:
            await self._check("sign-in", email, client_ip)

    async def reset_sign_in(self, email: str, device: VerifiedDevice | None = None) -> None:
        """Forget the attempts of an account or a device, after its owner has signed in."""
        if device is not None:
            await self.limiter.reset(self._limit("device"), device.id)
        else:
            await self.limiter.reset(self._limit("sign-in"), email)

    async def check_registration(self, email: str, client_ip: str) -> None:
        """Count a registration. Raise TooManyRequests if it exceeds a limit."""
        await self._check("register", email, client_ip)

    async def check_password(self, user_id: UUID, client_ip: str) -> None:
        """Count a guess at one's own password. Raise TooManyRequests if it exceeds a limit."""
        await self._check("password", str(user_id), client_ip)

    async def _check(self, name: str, account: str, client_ip: str) -> None:
        per_ip = RateLimit(f"{name} per client", self._per_ip, self._seconds)
        await self.limiter.check(per_ip, network_of(client_ip))
        await self.limiter.check(self._limit(name), account)

    def _limit(self, name: str) -> RateLimit:
        return RateLimit(name, self._per_account, self._seconds)
