"""The limit: Starlette and a bare asyncpg pool, the same work and bytes, in a rendered project.

python limit.py PORT
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

sys.path.insert(0, os.getcwd())

import asyncpg
import jwt
import uvicorn
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.users.schemas import UserCreate

KEY = os.environ["SECRET_KEY"]
TOKENS = jwt.PyJWT(
    options={
        "require": ["aud", "exp", "iat", "iss", "jti", "sub", "typ"],
        "enforce_minimum_key_length": True,
    }
)
HASH = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
BY_ID = "SELECT id, email, full_name, is_admin, created_at FROM users WHERE id = $1"
PAGE = "SELECT id, email, full_name, is_admin, created_at FROM users ORDER BY id LIMIT $1"
ADD = """INSERT INTO users
         (id, email, password_hash, full_name, is_admin, token_version, created_at)
         VALUES ($1, $2, $3, NULL, false, 0, $4)"""

pool: Any


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    global pool
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=5, max_size=10) as pool:
        yield


def shown(row: Any) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "email": row["email"],
        "full_name": row["full_name"],
        "is_admin": row["is_admin"],
        "created_at": row["created_at"].isoformat().replace("+00:00", "Z"),
    }


async def signed_in(request: Request) -> Any:
    token = request.headers["authorization"].removeprefix("Bearer ")
    claims = TOKENS.decode(token, KEY, ["HS256"], audience="app", issuer="app")
    if claims["typ"] != "access":
        raise jwt.InvalidTokenError
    return await pool.fetchrow(BY_ID, UUID(claims["sub"]))


async def livez(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def profile(request: Request) -> Response:
    return JSONResponse(shown(await signed_in(request)))


async def users(request: Request) -> Response:
    assert (await signed_in(request))["is_admin"]
    size = int(request.query_params.get("size", 20))
    rows = await pool.fetch(PAGE, size + 1)
    items = [shown(row) for row in rows[:size]]
    more = items[-1]["id"] if len(rows) > size else None
    return JSONResponse({"items": items, "next_cursor": more})


async def register(request: Request) -> Response:
    try:
        new = UserCreate.model_validate_json(await request.body())
    except ValueError:
        return JSONResponse({"detail": "The request is invalid."}, 422)
    password_hash = await asyncio.to_thread(HASH.hash, new.password.get_secret_value())
    await pool.execute(ADD, uuid4(), new.email, password_hash, datetime.now(UTC))
    return JSONResponse({"email": new.email}, 201)


async def stream(_: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield bytes(65536)

    return StreamingResponse(chunks(), media_type="application/octet-stream")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/livez", livez),
        Route("/profile", profile),
        Route("/users", users),
        Route("/register", register, methods=["POST"]),
        Route("/bench/stream", stream),
    ],
)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
