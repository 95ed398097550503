"""Signing in."""

import asyncio
from time import process_time

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher

from app.application import create_app, open_root_scope
from app.auth.limits import SignInLimits
from app.auth.tokens import AccessTokens, DeviceTokens
from app.kit.lifecycle import Override, override
from app.kit.mail import Mailer
from app.kit.rate_limits import TooManyRequests, open_rate_limiter
from app.settings import Settings
from app.users.passwords import PasswordHasher
from app.users.repository import UserRepository
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


async def test_attempts_of_several_kinds_are_counted_apart(strict_app: FastAPI) -> None:
    """Strangers who register with an address do not keep its owner from signing in."""
    async with open_client(strict_app) as client:
        ada = await register(client, "ada@example.com")
        form = {"email": ada.email, "password": PASSWORD}
        statuses = [(await client.post("/register", json=form)).status_code for _ in range(4)]
        assert statuses == [201] * 3 + [429]
        assert await ada.sign_in(client)


async def test_known_device_is_not_locked_out_by_strangers(strict_app: FastAPI) -> None:
    async with open_client(strict_app) as client:
        ada = await register(client, "ada@example.com")
        wrong = {"username": ada.email, "password": "wrong"}
        right = {"username": ada.email, "password": PASSWORD}
        device = (await client.post("/token", data=right)).cookies["device"]
        known = {"Cookie": f"device={device}"}
        client.cookies.clear()
        refused = [(await client.post("/token", data=wrong)).status_code for _ in range(5)]
        assert refused == [401] * 4 + [429]
        assert (await client.post("/token", data=right)).status_code == 429
        assert (await client.post("/token", data=right, headers=known)).status_code == 200
        for _ in range(4):  # guesses on the device are limited, too
            response = await client.post("/token", data=wrong, headers=known)
            assert response.status_code == 401
        assert (await client.post("/token", data=right, headers=known)).status_code == 429


async def test_new_password_ends_known_devices(strict_app: FastAPI) -> None:
    """Whoever had the password once may not guess for longer than others."""
    async with open_client(strict_app) as client:
        ada = await register(client, "ada@example.com")
        right = {"username": ada.email, "password": PASSWORD}
        response = await client.post("/token", data=right)
        known = {"Cookie": f"device={response.cookies['device']}"}
        client.cookies.clear()
        headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
        change = {"current_password": PASSWORD, "new_password": "another long password"}
        await client.post("/profile/password", json=change, headers=headers)
        statuses = [
            (await client.post("/token", data=right, headers=known)).status_code for _ in range(5)
        ]
        assert statuses == [401] * 4 + [429]


async def test_device_of_another_user_is_no_known_device(strict_app: FastAPI) -> None:
    async with open_client(strict_app) as client:
        ada = await register(client, "ada@example.com")
        bob = await register(client, "bob@example.com")
        form = {"username": bob.email, "password": PASSWORD}
        device = (await client.post("/token", data=form)).cookies["device"]
        client.cookies.clear()
        wrong = {"username": ada.email, "password": "wrong"}
        headers = {"Cookie": f"device={device}"}
        statuses = [
            (await client.post("/token", data=wrong, headers=headers)).status_code for _ in range(5)
        ]
        assert statuses == [401] * 4 + [429]


async def test_device_cookie_is_signed(
    settings: Settings, client: AsyncClient, ada: Person
) -> None:
    form = {"username": ada.email, "password": PASSWORD}
    response = await client.post("/token", data=form)
    [cookie] = response.headers.get_list("set-cookie")
    for attribute in ("HttpOnly", "Path=/token", "SameSite=strict", "Secure"):
        assert attribute in cookie
    devices = DeviceTokens(settings)
    user_id = AccessTokens(settings).verify(response.json()["access_token"]).user_id
    token = response.cookies["device"]
    device = devices.verify(token)
    assert device is not None
    assert device.user_id == user_id
    assert devices.verify(response.json()["access_token"]) is None
    assert devices.verify("nonsense") is None


@pytest.mark.parametrize("username", ["a\0b@example.com", "x" * 250, " ", "ada"])
async def test_strange_user_name_is_unknown(client: AsyncClient, username: str) -> None:
    form = {"username": username, "password": "a\0b"}
    assert (await client.post("/token", data=form)).status_code == 401


async def test_form_is_url_encoded_and_bounded(client: AsyncClient) -> None:
    """Normalizing text takes quadratic time: 40 kB of combining marks a second."""
    form = {"username": "a" + "\u0300\u0316" * 4000, "password": "any"}
    started = process_time()
    assert (await client.post("/token", data=form)).status_code == 422
    assert process_time() - started < 0.3
    files = dict.fromkeys(("username", "password"), (None, "x"))
    assert (await client.post("/token", files=files)).status_code == 415
    assert (await client.post("/token", json={"username": "x", "password": "x"})).status_code in (
        415,
        422,
    )


async def test_hash_of_other_parameters_is_replaced_at_sign_in(
    settings: Settings, overrides: list[Override], client: AsyncClient, ada: Person
) -> None:
    stronger = PasswordHasher(Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1))
    app = create_app(settings, [*overrides, override(PasswordHasher, stronger)])
    async with (
        open_client(app) as other,
        open_root_scope(settings, overrides) as root_scope,
        root_scope.new_scope() as scope,
    ):
        repository = await scope.resolve(UserRepository)
        await ada.sign_in(other)
        user = await repository.get_by_email(ada.email)
        assert user is not None
        assert "m=16,t=2" in user.password_hash
        assert await ada.sign_in(other)


async def test_signing_out_ends_every_token(client: AsyncClient, ada: Person) -> None:
    one, other = await ada.headers(client), await ada.headers(client)
    assert (await client.post("/sign-out", headers=one)).status_code == 204
    for headers in (one, other):
        assert (await client.get("/profile", headers=headers)).status_code == 401
    headers = await ada.headers(client)
    assert (await client.get("/profile", headers=headers)).status_code == 200


async def test_concurrent_sign_ins_do_not_affect_each_other(strict: Settings) -> None:
    async with open_rate_limiter(strict) as limiter:
        limits = SignInLimits(strict, limiter)

        async def sign_in(number: int) -> None:
            account = f"{number}@example.com"
            for _ in range(3):
                await limits.check_sign_in(account, f"10.0.0.{number}")
                await asyncio.sleep(0)
                await limits.reset_sign_in(account)

        await asyncio.gather(*(sign_in(number) for number in range(20)))
        await sign_in(20)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("2001:db8::{}", "2001:db8::ffff", "2001:db8:0:1::1"),
        ("::ffff:203.0.113.7", "203.0.113.7", "::ffff:203.0.113.8"),
    ],
)
async def test_client_is_an_ipv4_address_or_a_network_of_ipv6(
    strict: Settings, one: str, same: str, other: str
) -> None:
    async with open_rate_limiter(strict) as limiter:
        limits = SignInLimits(strict, limiter)
        for number in range(12):
            await limits.check_sign_in(f"{number}@example.com", one.format(number))
        with pytest.raises(TooManyRequests):
            await limits.check_sign_in("12@example.com", same)
        await limits.check_sign_in("12@example.com", other)
