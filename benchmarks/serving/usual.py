"""The usual way, as in tutorials: `def` providers, `lru_cache`, `BaseHTTPMiddleware`, ORM sessions.

python usual.py PORT      (inside of a rendered project, for its environment and its database)
"""

import datetime
import logging
import sys
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from uuid import UUID, uuid4

import httpx2
import jwt
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.security import OAuth2PasswordBearer
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, ConfigDict, EmailStr, Field
from pydantic_settings import BaseSettings
from sqlalchemy import DateTime, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)


class Settings(BaseSettings):
    secret_key: str
    database_url: str


@lru_cache
def get_settings() -> Settings:
    return Settings()


hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
url = get_settings().database_url.replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(url, pool_pre_ping=True)
async_session = async_sessionmaker(engine, expire_on_commit=False)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str]
    password_hash: Mapped[str]
    full_name: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    token_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), default=lambda: datetime.datetime.now(datetime.UTC)
    )


class UserRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    full_name: str | None
    is_admin: bool
    created_at: datetime.datetime


class UserCreate(BaseModel):
    email: EmailStr
    password: str = Field(min_length=12)


class UserRepository:
    def __init__(self, db: AsyncSession) -> None:
        self.db = db

    async def get(self, user_id: UUID) -> User | None:
        return await self.db.get(User, user_id)

    async def page(self, size: int) -> list[User]:
        return list((await self.db.scalars(select(User).order_by(User.id).limit(size))).all())

    async def add(self, user: User) -> User:
        self.db.add(user)
        await self.db.commit()
        await self.db.refresh(user)
        return user


class UserService:
    def __init__(self, repo: UserRepository) -> None:
        self.repo = repo

    async def create(self, user: UserCreate) -> User:
        return await self.repo.add(User(email=user.email, password_hash=hasher.hash(user.password)))


async def get_db() -> AsyncIterator[AsyncSession]:
    async with async_session() as session:
        yield session


def get_user_repo(db: AsyncSession = Depends(get_db)) -> UserRepository:
    return UserRepository(db)


def get_user_service(repo: UserRepository = Depends(get_user_repo)) -> UserService:
    return UserService(repo)


def decode_token(token: str, settings: Settings) -> UUID:
    claims = jwt.decode(token, settings.secret_key, ["HS256"], audience="app", issuer="app")
    return UUID(claims["sub"])


async def get_current_user(
    token: str = Depends(oauth2_scheme),
    settings: Settings = Depends(get_settings),
    repo: UserRepository = Depends(get_user_repo),
) -> User:
    user = await repo.get(decode_token(token, settings))
    if user is None:
        raise HTTPException(401)
    return user


async def get_http_client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


async def send_email(email: str, content: str) -> None: ...


app = FastAPI()


@app.middleware("http")
async def log_requests(request: Request, call_next: RequestResponseEndpoint) -> Response:
    begun = time.perf_counter()
    response = await call_next(request)
    duration = (time.perf_counter() - begun) * 1000
    logger.info(
        "%s %s %s %.1f ms", request.method, request.url.path, response.status_code, duration
    )
    return response


@app.middleware("http")
async def add_security_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    return response


@app.middleware("http")
async def add_request_id(request: Request, call_next: RequestResponseEndpoint) -> Response:
    request.state.request_id = str(uuid4())
    response = await call_next(request)
    response.headers["X-Request-ID"] = request.state.request_id
    return response


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/profile", response_model=UserRead)
async def get_profile(user: User = Depends(get_current_user)) -> User:
    return user


@app.get("/users")
async def get_users(
    size: int = 20,
    user: User = Depends(get_current_user),
    repo: UserRepository = Depends(get_user_repo),
) -> list[UserRead]:
    if not user.is_admin:
        raise HTTPException(403)
    return [UserRead.model_validate(each) for each in await repo.page(size)]


@app.post("/register", status_code=201)
async def register(
    user: UserCreate,
    background_tasks: BackgroundTasks,
    service: UserService = Depends(get_user_service),
) -> UserRead:
    new_user = await service.create(user)
    background_tasks.add_task(send_email, user.email, "Welcome to our service!")
    return UserRead.model_validate(new_user)


@app.get("/bench/client")
async def with_client(client: httpx2.AsyncClient = Depends(get_http_client)) -> dict[str, bool]:
    return {"closed": client.is_closed}


async def generate_large_file() -> AsyncIterator[bytes]:
    for _ in range(160):
        yield bytes(65536)


@app.get("/bench/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(generate_large_file(), media_type="application/octet-stream")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
