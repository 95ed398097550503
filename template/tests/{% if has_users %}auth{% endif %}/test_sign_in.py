"""Signing in."""

import asyncio
from time import process_time

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher

from app.application import create_app
from app.auth.errors import TooManyAttempts
from app.auth.limiter import SignInLimiter
from app.kit.lifecycle import Override, override
from app.kit.mail import Mailer
from app.settings import Settings
from app.users.passwords import PasswordHasher
from tests.kit.helpers import open_client
from tests.kit.mail.outbox import Outbox
from tests.users.people import PASSWORD, Person, register


async def test_token_opens_protected_routes(client: AsyncClient, ada: Person) -> None:
    form = {"username": "ADA@example.com", "password": PASSWORD}
    token = (await client.post("/token", data=form)).json()
    assert token.keys() == {"access_token", "token_type", "expires_in"}
    assert (token["token_type"], token["expires_in"]) == ("bearer", 900)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await client.get("/profile", headers=headers)).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Basic eDp5", "Bearer", "Bearer not.a.token"])
async def test_protected_route_requires_a_valid_token(
    client: AsyncClient, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    response = await client.get("/profile", headers=headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_wrong_password_and_unknown_user_get_the_same_response(
    client: AsyncClient, ada: Person
) -> None:
    wrong = await client.post("/token", data={"username": ada.email, "password": "wrong"})
    unknown = await client.post("/token", data={"username": "x@example.com", "password": "any"})
    assert wrong.status_code == unknown.status_code == 401
    for response in (wrong, unknown):
        response_body = response.json()
        del response_body["request_id"]
        assert response_body["detail"] == "The e-mail address or the password is wrong."


async def test_wrong_password_and_unknown_user_take_the_same_time(settings: Settings) -> None:
    hasher = PasswordHasher(Argon2Hasher(time_cost=1, memory_cost=16 * 1024, parallelism=1))
    app = create_app(settings, [override(PasswordHasher, hasher), override(Mailer, Outbox())])

    async with open_client(app) as client:
        await register(client, "ada@example.com")

        async def fastest(email: str) -> float:
            times = []
            for _ in range(3):
                started = process_time()  # not affected by other processes
                await client.post("/token", data={"username": email, "password": "wrong"})
                times.append(process_time() - started)
            return min(times)

        known, unknown = await fastest("ada@example.com"), await fastest("x@example.com")
    assert 1 / 3 < known / unknown < 3  # below 1/10 without a hash for unknown users


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "sign_in_limit_per_account": 4,
            "sign_in_limit_per_ip": 12,
            "sign_in_limit_minutes": 24 * 60,
        }
    )


@pytest.fixture
def strict_app(strict: Settings, overrides: list[Override]) -> FastAPI:
    return create_app(strict, overrides)


async def test_attempts_are_limited_per_account(strict_app: FastAPI) -> None:
    async with open_client(strict_app) as client:
        ada = await register(client, "ada@example.com")
        for _ in range(2):
            form = {"username": ada.email, "password": "wrong"}
            assert (await client.post("/token", data=form)).status_code == 401
        await ada.sign_in(client)  # the right password resets the count
        statuses = []
        for email in ["Ada@example.com", "ada@Example.com"] * 2 + ["ada@example.com"]:
            response = await client.post("/token", data={"username": email, "password": "wrong"})
            statuses.append(response.status_code)
        assert statuses == [401] * 4 + [429]
        assert 1 <= int(response.headers["Retry-After"]) <= 2 * 86400


async def test_attempts_are_limited_per_client_ip(strict_app: FastAPI) -> None:
    async with open_client(strict_app) as client:
        statuses = [
            (await client.post("/token", data={"username": f"{n}@x.example", "password": "x"}))
            for n in range(13)
        ]
        assert [response.status_code for response in statuses] == [401] * 12 + [429]


async def test_concurrent_sign_ins_do_not_affect_each_other(strict: Settings) -> None:
    limiter = SignInLimiter(strict)

    async def sign_in(number: int) -> None:
        account = f"{number}@example.com"
        for _ in range(3):
            await limiter.check(account, f"10.0.0.{number}")
            await asyncio.sleep(0)
            await limiter.reset(account)

    await asyncio.gather(*(sign_in(number) for number in range(20)))
    await sign_in(20)


async def test_retry_after_is_the_time_until_the_next_attempt(
    strict: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With four a day: four at once, then one after each announced wait, and none sooner."""
    now = 86400.0 * 20000 + 3600
    monkeypatch.setattr("app.auth.limiter.time.time", lambda: now)
    limiter = SignInLimiter(strict)
    for number in range(4):
        await limiter.check("ada@example.com", f"10.0.0.{number}")
    for number in range(4):
        with pytest.raises(TooManyAttempts) as refused:
            await limiter.check("ada@example.com", f"10.0.1.{number}")
        wait = int(refused.value.headers["Retry-After"])
        now += wait - 2
        with pytest.raises(TooManyAttempts):
            await limiter.check("ada@example.com", f"10.0.2.{number}")
        now += 3
        await limiter.check("ada@example.com", f"10.0.3.{number}")
    now += 2 * 86400
    for number in range(4):
        await limiter.check("ada@example.com", f"10.0.4.{number}")


async def test_ipv6_network_counts_as_one_client(strict: Settings) -> None:
    limiter = SignInLimiter(strict)
    for number in range(12):
        await limiter.check(f"{number}@example.com", f"2001:db8::{number}")
    with pytest.raises(TooManyAttempts):
        await limiter.check("12@example.com", "2001:db8::ffff")
    await limiter.check("12@example.com", "2001:db8:0:1::1")


async def test_mapped_ipv4_address_counts_as_that_address(strict: Settings) -> None:
    limiter = SignInLimiter(strict)
    for number in range(12):
        await limiter.check(f"{number}@example.com", "::ffff:203.0.113.7")
    with pytest.raises(TooManyAttempts):
        await limiter.check("12@example.com", "203.0.113.7")
    await limiter.check("12@example.com", "::ffff:203.0.113.8")
