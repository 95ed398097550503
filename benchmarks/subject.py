"""One subject of `profile_route.py`, run inside a rendered project's environment.

    python subject.py NAME DATABASE

Reads a number of requests from a line of standard input, answers that many `GET /profile` in process, without a
socket, and writes the CPU seconds it took; again for the next line.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

KEY = "a key for benchmarks that guards nothing"
Asgi = Callable[..., Any]

sys.path.insert(0, os.getcwd())


@asynccontextmanager
async def rendered(database: Path) -> AsyncIterator[tuple[Asgi, dict[str, Any]]]:
    """The service as it is rendered."""
    from app.application import create_app
    from app.settings import Settings

    app = create_app(Settings(secret_key=KEY, database_url=f"sqlite+aiosqlite:///{database}"))
    async with app.router.lifespan_context(app) as state:
        yield app, {"state": dict(state)}


@asynccontextmanager
async def bare(database: Path) -> AsyncIterator[tuple[Asgi, dict[str, Any]]]:
    """Starlette over the bare driver: the same token check, the same row, the same bytes."""
    import aiosqlite
    import jwt
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    query = "SELECT id, email, full_name, is_admin, created_at FROM users WHERE id = ?"
    decoder = jwt.PyJWT(options={"require": ["exp", "iat", "sub", "aud", "iss", "jti", "typ"]})

    async def profile(request: Request) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = decoder.decode(token, KEY, ["HS256"], audience="app", issuer="app")
        user_id = UUID(claims["sub"])
        async with connection.execute(query, (user_id.hex,)) as cursor:
            row = await cursor.fetchone()
        assert row is not None
        return JSONResponse(
            {
                "id": str(UUID(row[0])),
                "email": row[1],
                "full_name": row[2],
                "is_admin": bool(row[3]),
                "created_at": row[4].replace(" ", "T") + "Z",
            }
        )

    async with aiosqlite.connect(database) as connection:
        yield Starlette(routes=[Route("/profile", profile)]), {}


@asynccontextmanager
async def orm(database: Path) -> AsyncIterator[tuple[Asgi, dict[str, Any]]]:
    """FastAPI as it is usually written: async providers, one ORM session a request, `session.get`."""
    import datetime

    import jwt
    from fastapi import Depends, FastAPI
    from fastapi.security import OAuth2PasswordBearer
    from pydantic import BaseModel, ConfigDict
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    class Base(DeclarativeBase): ...

    class User(Base):
        __tablename__ = "users"
        id: Mapped[UUID] = mapped_column(primary_key=True)
        email: Mapped[str]
        password_hash: Mapped[str]
        full_name: Mapped[str | None]
        is_admin: Mapped[bool]
        created_at: Mapped[datetime.datetime]

    class UserRead(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        id: UUID
        email: str
        full_name: str | None
        is_admin: bool
        created_at: datetime.datetime

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    scheme = OAuth2PasswordBearer("token")

    async def get_current_user(
        token: Annotated[str, Depends(scheme)],
        session: Annotated[AsyncSession, Depends(get_session)],
    ) -> User:
        claims = jwt.decode(token, KEY, ["HS256"], audience="app", issuer="app")
        user = await session.get(User, UUID(claims["sub"]))
        assert user is not None
        return user

    app = FastAPI()

    @app.get("/profile", response_model=UserRead)
    async def profile(user: Annotated[User, Depends(get_current_user)]) -> User:
        return user

    yield app, {}
    await engine.dispose()


async def main(name: str, database: Path) -> None:
    user_id = UUID((database.parent / "user").read_text())
    from app.auth.tokens import AccessTokens
    from app.settings import Settings

    token = AccessTokens(Settings(secret_key=KEY)).issue(user_id)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/profile",
        "raw_path": b"/profile",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    opened = {"bare": bare, "orm": orm}.get(name, rendered)(database)
    async with opened as (app, more):

        async def request() -> list[dict[str, Any]]:
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            await app({**scope, **more}, receive, send)
            return sent

        start, body = await request()
        assert start["status"] == 200, body
        assert json.loads(body["body"])["id"] == str(user_id)
        for line in sys.stdin:
            started = time.process_time()
            for _ in range(int(line)):
                await request()
            print(time.process_time() - started, flush=True)


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
