"""A slice that tests add to a rendered project, as its owner would."""

import shutil
from pathlib import Path

CACHE = '''"""Cached routes and the statistics of the cache."""

import asyncio
import itertools
import os
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException
from pydantic import BaseModel

from app.kit.cache import ResponseCacheDep, cached

router = APIRouter(prefix="/probe")
numbers = itertools.count(1)


async def get_user(x_user: Annotated[int | None, Header()] = None) -> int:
    if x_user is None:
        raise HTTPException(401)
    return x_user


UserDep = Annotated[int, Depends(get_user)]


class Shown(BaseModel):
    user: int = 0
    number: int
    process: int


class Known(Shown):
    secret: str = "never to be stored"


def known(user: int = 0) -> Known:
    return Known(user=user, number=next(numbers), process=os.getpid())


@router.get("/mine", response_model=Shown)
@cached(expire=600, per_user="{user}", tags=("user:{user}",))
async def mine(user: UserDep) -> Known:
    return known(user)


@router.get("/slow", response_model=Shown)
@cached(expire=60, public=True)
async def slow() -> Known:
    await asyncio.sleep(0.3)
    return known()


@router.get("/large")
@cached(expire=60, public=True)
def large(number: int) -> str:
    return f"{number:010}" * 1000


@router.post("/forget/{tag}")
async def forget(tag: str, cache: ResponseCacheDep) -> None:
    await cache.invalidate(tag)


@router.get("/statistics")
async def statistics(cache: ResponseCacheDep) -> dict[str, Any]:
    counted = cache.statistics
    return {name: getattr(counted, name) for name in ("hits", "misses", "waits", "errors")}
'''

ROOMS = '''"""Removes members from rooms."""

from fastapi import APIRouter

from app.rooms.dependencies import RoomPolicyDep

router = APIRouter(prefix="/probe")


@router.delete("/rooms/{room}/members/{name}")
async def remove(room: str, name: str, policy: RoomPolicyDep) -> None:
    await policy.remove(room, name)
'''

TRANSACTIONS = '''"""Reads in a transaction."""

from fastapi import APIRouter
from sqlalchemy import select, true

from app.kit.wiring import DatabaseDep

router = APIRouter(prefix="/probe")


@router.get("/transaction")
async def read(db: DatabaseDep) -> bool | None:
    async with db.transaction():
        return await db.scalar(select(true()))
'''

JOBS = {
    "jobs": '''"""Jobs that say in a file when they begin and end."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from app.kit.jobs import Run, job


def say(path: str, *words: object) -> None:
    with Path(path).open("a") as file:
        print(*words, file=file)


@job(attempts=20, backoff=0.2)
async def write(run: Run, path: str, name: str, seconds: float) -> None:
    say(path, "began", name, run.attempt)
    await asyncio.sleep(seconds)
    say(path, "ended", name, run.attempt)


@job()
async def cling(run: Run, path: str) -> None:
    """Ignore every interruption."""
    say(path, "began", "cling", run.attempt)
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


@job(cron="* * * * *")
async def tick(run: Run) -> None:
    if path := os.environ.get("TICKS"):
        say(path, run.id)
''',
    "routes": '''"""Enqueues them."""

from fastapi import APIRouter
from pydantic import BaseModel

from app.kit.wiring import JobQueueDep
from app.probe.jobs import cling, write

router = APIRouter(prefix="/probe")


class Work(BaseModel):
    path: str
    count: int = 1
    seconds: float = 0


@router.post("/jobs", status_code=202)
async def enqueue(work: Work, jobs: JobQueueDep) -> None:
    for number in range(work.count):
        await jobs.enqueue(write, work.path, str(number), work.seconds)


@router.post("/cling", status_code=202)
async def enqueue_clinging(work: Work, jobs: JobQueueDep) -> None:
    await jobs.enqueue(cling, work.path)
''',
}


def add(installed: Path, project: Path, **modules: str) -> Path:
    """Return a copy of an installed project with one slice more: a folder and its line."""
    shutil.copytree(installed, project, symlinks=True)
    (project / "app/probe").mkdir()
    (project / "app/probe/__init__.py").touch()
    for name, text in modules.items():
        (project / f"app/probe/{name}.py").write_text(text)
    parts = {"routes": "router=app.probe.routes.router", "jobs": "jobs=app.probe.jobs"}
    arguments = ", ".join(part for name, part in parts.items() if name in modules)
    imports = "".join(f"import app.probe.{name}\n" for name in modules)
    slices = project / "app/slices.py"
    text = slices.read_text().replace("# isort: split\n", f"{imports}# isort: split\n")
    slices.write_text(text.replace(" = [\n", f" = [\n    Slice({arguments}),\n"))
    return project
