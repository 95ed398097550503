"""Possible shapes of data access, on SQLite: CPU for one row by its key, and for one insert.

    python shapes.py DATABASE USER ROUNDS      (inside of a rendered project)

All shapes run in turn, A B C A B C ..., in one process. The microseconds of each round are printed
as JSON.
"""

import asyncio
import datetime
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, os.getcwd())

import aiosqlite
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.kit.database import Session, Transaction, open_database
from app.settings import Settings
from app.users.models import User
from app.users.repository import UserRepository


class Base(DeclarativeBase): ...


class Row(Base):
    __tablename__ = "users"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    password_hash: Mapped[str]
    full_name: Mapped[str | None]
    is_admin: Mapped[bool]
    created_at: Mapped[datetime.datetime]


ROW_BY_ID = select(Row).where(Row.id == bindparam("id"))


def new_user() -> User:
    user_id = uuid.uuid4()
    now = datetime.datetime.now(datetime.UTC)
    email = f"{user_id}@example.com"
    return User(
        id=user_id, email=email, password_hash="", full_name=None, is_admin=False, created_at=now
    )


async def main(path: Path, user_id: uuid.UUID, rounds: int) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{path}")
    engine = create_async_engine(settings.database_url)
    usual = async_sessionmaker(engine, expire_on_commit=False)
    async with open_database(settings) as database, aiosqlite.connect(path) as connection:
        reading = async_sessionmaker(database.reading, expire_on_commit=False)
        writing = async_sessionmaker(database.writing, expire_on_commit=False)

        async def driver() -> None:
            query = "SELECT * FROM users WHERE id = ?"
            async with connection.execute(query, (user_id.hex,)) as cursor:
                await cursor.fetchone()

        async def core() -> None:
            await UserRepository(Session(database)).get(user_id)

        async def orm_reading() -> None:
            session: AsyncSession
            async with reading() as session:
                (await session.scalars(ROW_BY_ID, {"id": user_id})).one()

        async def orm_usual() -> None:
            async with usual() as session:
                await session.get(Row, user_id)

        async def core_insert() -> None:
            session = Session(database)
            async with Transaction(session):
                await UserRepository(session).add(new_user())

        async def orm_insert() -> None:
            async with writing() as session, session.begin():
                session.add(Row(**asdict(new_user())))

        shapes: dict[str, dict[str, Callable[[], Awaitable[None]]]] = {
            "a row by its key": {
                "as rendered": core,
                "bare aiosqlite": driver,
                "ORM on the same engine": orm_reading,
                "ORM, as usually written": orm_usual,
            },
            "an insert": {"as rendered": core_insert, "ORM on the same engine": orm_insert},
        }
        found = [
            (work, name, shape, {"cpu": [], "wall": []})
            for work, named in shapes.items()
            for name, shape in named.items()
        ]
        for _ in range(rounds):
            for work, _name, shape, measures in found:
                number = 30 if work == "an insert" else 150
                await shape()
                cpu, wall = time.process_time(), time.perf_counter()
                for _ in range(number):
                    await shape()
                measures["cpu"].append((time.process_time() - cpu) / number * 1e6)
                measures["wall"].append((time.perf_counter() - wall) / number * 1e6)
    await engine.dispose()

    print(json.dumps([(work, name, measures) for work, name, _, measures in found]))


asyncio.run(main(Path(sys.argv[1]), uuid.UUID(sys.argv[2]), int(sys.argv[3])))
