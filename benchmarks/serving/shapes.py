"""Possible shapes of data access, on SQLite: CPU for one row by its key, and for one insert.

    python shapes.py DATABASE USER ROUNDS      (inside of a rendered project)

All shapes run in turn, A B C A B C ..., in one process. The microseconds of each round are printed
as JSON.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, os.getcwd())

import aiosqlite
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.kit.database import Database, open_engines
from app.settings import Settings
from app.users.models import User
from app.users.repository import UserRepository

BY_ID = select(User).where(User.id == bindparam("id"))
ROW_BY_ID = select(User.__table__).where(User.id == bindparam("id"))
INSERT = insert(User)


def new_user() -> User:
    return User(email=f"{uuid.uuid4()}@example.com", password_hash="")


async def main(path: Path, user_id: uuid.UUID, rounds: int) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{path}")
    engine = create_async_engine(settings.database_url)
    usual = async_sessionmaker(engine, expire_on_commit=False)
    async with open_engines(settings) as engines, aiosqlite.connect(path) as connection:
        reading = async_sessionmaker(engines.reading, expire_on_commit=False)
        writing = async_sessionmaker(engines.writing, expire_on_commit=False)

        async def driver() -> None:
            query = "SELECT * FROM users WHERE id = ?"
            async with connection.execute(query, (user_id.hex,)) as cursor:
                await cursor.fetchone()

        async def kit() -> None:
            assert await UserRepository(Database(engines)).get(user_id)

        async def kit_row() -> None:
            (await Database(engines).execute(ROW_BY_ID, {"id": user_id})).one()

        async def orm_reading() -> None:
            session: AsyncSession
            async with reading() as session:
                (await session.scalars(BY_ID, {"id": user_id})).one()

        async def orm_usual() -> None:
            async with usual() as session:
                assert await session.get(User, user_id)

        async def kit_insert() -> None:
            db = Database(engines)
            async with db.transaction():
                await UserRepository(db).add(new_user())

        async def kit_insert_row() -> None:
            async with Database(engines).transaction() as session:
                values = {"email": f"{uuid.uuid4()}@example.com", "password_hash": ""}
                await session.execute(INSERT, values)

        async def orm_insert() -> None:
            async with writing() as session, session.begin():
                session.add(new_user())

        shapes: dict[str, dict[str, Callable[[], Awaitable[None]]]] = {
            "a row by its key": {
                "as rendered": kit,
                "bare aiosqlite": driver,
                "columns instead of a model": kit_row,
                "`AsyncSession`, the same engine": orm_reading,
                "`AsyncSession`, as usually written": orm_usual,
            },
            "an insert": {
                "as rendered": kit_insert,
                "columns instead of a model": kit_insert_row,
                "`AsyncSession`, the same engine": orm_insert,
            },
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
