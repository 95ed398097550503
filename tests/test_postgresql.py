"""Faults of a real PostgreSQL under a real service, and the development database."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx2
import pytest
import redis

from tests import postgresql, probe, valkey
from tests.conftest import Rendered, as_parameter
from tests.postgresql import Proxy, load, new_database
from tests.projects import render, run
from tests.servers import PASSWORD, SERVE, signed_in, start
from tests.variants import Answers, focused

KEY = "a key for tests that guards nothing at all"
VARIANTS = [as_parameter(variant) for variant in focused("lifecycle", database="postgresql")]
for_each_lifecycle = pytest.mark.parametrize("variant", VARIANTS, indirect=True)


async def timed(request: Callable[[], object]) -> tuple[int, float]:
    """Return the status of a request and its duration in seconds."""
    started = time.monotonic()
    response = await request()  # type: ignore[misc]
    return response.status_code, time.monotonic() - started


@for_each_lifecycle
def test_service_answers_503_during_a_restart_and_recovers(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    """Under traffic there is no 500 and no hang."""
    project = installed(**variant)
    folder = tmp_path / "postgresql"
    with load().running(folder, keep=True) as server_url:
        server = load()._Server(folder, keep=True)
        server.binaries = load()._binaries(server.data, as_root=os.geteuid() == 0)
        url = new_database(server_url)
        settings = {"SECRET_KEY": KEY, "DATABASE_URL": url}
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
        with start(project, *SERVE, settings=settings) as service:

            async def traffic() -> list[tuple[int, float]]:
                seen: list[tuple[int, float]] = []
                async with signed_in(service) as client:
                    done = False

                    async def get() -> httpx2.Response:
                        return await client.get("/profile")

                    async def patch() -> httpx2.Response:
                        return await client.patch("/profile", json={"full_name": "x"})

                    async def ask(change: bool) -> None:
                        while not done:
                            seen.append(await timed(patch if change else get))
                            await asyncio.sleep(0.01)

                    tasks = [asyncio.create_task(ask(number % 2 == 0)) for number in range(8)]
                    await asyncio.sleep(1)
                    for mode in ("immediate", "fast"):
                        await asyncio.to_thread(server._run, "pg_ctl", "stop", "-w", "-m", mode)
                        await asyncio.sleep(0.5)
                        await asyncio.to_thread(server.start)
                        await asyncio.sleep(1.5)
                    done = True
                    await asyncio.gather(*tasks)
                    for _ in range(20):
                        assert (await client.get("/profile")).status_code == 200
                        assert (await client.patch("/profile", json={})).status_code == 200
                return seen

            seen = asyncio.run(traffic())
            service.stop()
        assert {status for status, _ in seen} == {200, 503}
        assert max(seconds for _, seconds in seen) < 15
    postgresql.forget(folder)


@for_each_lifecycle
def test_network_partition_is_detected_in_time(
    installed: Rendered, variant: Answers, server_url: str
) -> None:
    project = installed(**variant)
    url = new_database(server_url)
    database = url.partition("?")[0].rpartition("/")[2]
    settings = {"SECRET_KEY": KEY, "DATABASE_URL": url}
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)

    async def partition() -> None:
        proxy = Proxy(url)
        async with proxy.listening() as port:
            settings["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{port}/{database}"
            settings["DATABASE_COMMAND_TIMEOUT"] = "1"
            settings["DATABASE_CONNECT_TIMEOUT"] = "1"
            context = start(project, *SERVE, settings=settings)
            service = await asyncio.to_thread(context.__enter__)
            try:
                async with signed_in(service) as client:
                    assert (await client.get("/readyz")).status_code == 200
                    proxy.swallow()
                    status, seconds = await timed(lambda: client.get("/profile"))
                    assert (status, seconds < 9) == (503, True), seconds
                    status, seconds = await timed(
                        lambda: client.patch("/profile", json={"full_name": "x"})
                    )
                    assert (status, seconds < 9) == (503, True), seconds
                    status, seconds = await timed(lambda: client.get("/readyz"))
                    assert (status, seconds < 6) == (503, True), seconds
                    status, seconds = await timed(lambda: client.get("/livez"))
                    assert (status, seconds < 1) == (200, True), seconds
                    proxy.heal()
                    await asyncio.sleep(0.5)
                    for _ in range(3):
                        assert (await client.get("/profile")).status_code == 200
                    proxy.cut()
                    for _ in range(3):
                        assert (await client.get("/profile")).status_code == 200
            finally:
                await asyncio.to_thread(context.__exit__, None, None, None)

    asyncio.run(partition())


@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
def test_first_write_after_a_fail_over_succeeds(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    """The address leads to a standby, then to the primary; no connection is cut."""
    project = probe.add(installed(**variant), tmp_path / "project", routes=probe.TRANSACTIONS)
    module = load()
    standby = module._Server(tmp_path / "standby", keep=False)

    async def fail_over(primary_url: str, standby_url: str) -> None:
        proxy, primary = Proxy(standby_url), Proxy(primary_url)
        async with proxy.listening() as port:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            context = start(project, *SERVE, settings={"SECRET_KEY": KEY, "DATABASE_URL": url})
            service = await asyncio.to_thread(context.__enter__)
            try:
                async with httpx2.AsyncClient(base_url=service.url, timeout=30) as client:
                    form = {"email": "ada@example.com", "password": PASSWORD}
                    assert (await client.post("/register", json=form)).status_code == 503
                    assert (await client.get("/readyz")).status_code == 503
                    reads = (client.get("/probe/transaction") for _ in range(4))
                    answers = await asyncio.gather(*reads)
                    assert {each.status_code for each in answers} == {200}
                    proxy.socket = primary.socket
                    assert (await client.post("/register", json=form)).status_code == 201
            finally:
                await asyncio.to_thread(context.__exit__, None, None, None)

    with module.running(tmp_path / "primary", keep=False) as primary_url:
        settings = {"SECRET_KEY": KEY, "DATABASE_URL": primary_url}
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
        standby._own(standby.home)
        primary = module._Server(tmp_path / "primary", keep=False)
        primary.binaries = module._binaries(primary.data, as_root=os.geteuid() == 0)
        source = ("-h", str(primary.socket), "-U", "postgres", "-c", "fast", "-R")
        primary._run("pg_basebackup", *source, data=standby.data)
        with module.running(tmp_path / "standby", keep=False) as standby_url:
            asyncio.run(fail_over(primary_url, standby_url))


@for_each_lifecycle
def test_exhausted_pool_and_locked_table_are_503(
    installed: Rendered, variant: Answers, server_url: str
) -> None:
    project = installed(**variant)
    url = new_database(server_url)
    settings = {"SECRET_KEY": KEY, "DATABASE_URL": url}
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    small = {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0", "DATABASE_POOL_TIMEOUT": "1"}
    with start(project, *SERVE, settings={**settings, **small}) as service:

        async def hold() -> None:
            async with signed_in(service) as client:
                connection = await asyncpg.connect(url)
                async with connection.transaction():
                    await connection.execute("LOCK TABLE users IN EXCLUSIVE MODE")
                    change = [
                        timed(lambda: client.patch("/profile", json={"full_name": "x"}))
                        for _ in range(12)
                    ]
                    answers = await asyncio.gather(*change)
                    assert {status for status, _ in answers} == {503}
                    assert max(seconds for _, seconds in answers) < 9
                    response = await client.patch("/profile", json={"full_name": "x"})
                    assert response.headers["Retry-After"] == "1"
                    assert (await client.get("/profile")).status_code == 200  # reads go on
                await connection.close()
                assert (await client.patch("/profile", json={"full_name": "x"})).status_code == 200

        asyncio.run(hold())
        service.stop()


@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
def test_development_database_is_kept_and_shared(
    template: Path, tmp_path: Path, variant: Answers
) -> None:
    """Two development servers share one database server, which keeps its data."""
    project = render(template, tmp_path / "p", **variant)
    dev = ("uv", "run", "dev.py")
    with start(project, *dev) as first, start(project, *dev) as second:
        form = {"email": "ada@example.com", "password": PASSWORD}
        assert httpx2.post(f"{first.url}/register", json=form, timeout=30).status_code == 201
        assert "DATABASE_URL" in first.log.read_text()
        first.stop()
        credentials = {"username": "ada@example.com", "password": PASSWORD}
        answer = httpx2.post(f"{second.url}/token", data=credentials, timeout=30)
        assert answer.status_code == 200  # the server stayed for the second
        second.stop()
    create_admin = f"echo '{PASSWORD}' | {' '.join(dev)} create-admin ada@example.com"
    admin = run(project, "bash", "-c", create_admin)
    assert "is an admin now" in admin  # without a URL, and with no server running
    server = load()._Server(project / "data/postgresql", keep=True)
    assert not (server.data / "postmaster.pid").exists()  # and left with it
    with start(project, "uv", "run", "dev.py") as third:
        assert httpx2.post(f"{third.url}/token", data=credentials, timeout=30).status_code == 200
        third.stop()
    postgresql.forget(project / "data/postgresql")


def test_server_starts_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load()
    monkeypatch.setattr(module, "_local_binaries", lambda: iter(()))
    with module.running(tmp_path / "postgresql", keep=False) as url:
        postgresql.execute(url, "SELECT 1")
    assert not (tmp_path / "postgresql/data").exists()


def test_server_starts_while_the_last_user_stops_it(tmp_path: Path) -> None:
    """The last user deletes the folder while others wait to start a server there."""
    module = load()

    def use(_: int) -> None:
        with module.running(tmp_path / "postgresql", keep=False) as url:
            postgresql.execute(url, "SELECT 1")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(use, range(12)))
    server = module._Server(tmp_path / "postgresql", keep=False)
    assert not server.home.exists()


def test_incomplete_data_is_created_again(tmp_path: Path) -> None:
    module = load()
    folder = tmp_path / "postgresql"
    code = (
        "import sys; from pathlib import Path; from postgresql import running\n"
        "with running(Path(sys.argv[1]), keep=True): pass"
    )
    first = subprocess.Popen(
        [sys.executable, "-B", "-c", code, folder],
        cwd=postgresql.SOURCE.parent,
        start_new_session=True,
    )
    unfinished = module._Server(folder, keep=True).home / "unfinished/base"
    while first.poll() is None and not unfinished.exists():
        time.sleep(0.001)
    os.killpg(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert unfinished.exists()
    with module.running(folder, keep=True) as url:
        postgresql.execute(url, "SELECT 1")
    postgresql.forget(folder)


def test_recycled_process_id_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    """A machine that was cut off leaves `postmaster.pid`; another program has the id now."""
    module = load()
    folder = tmp_path / "postgresql"
    with module.running(folder, keep=True) as url:
        postgresql.execute(url, "CREATE TABLE kept ()")
        pid_file = module._Server(folder, keep=True).data / "postmaster.pid"
        left = pid_file.read_text()
    pid_file.write_text(left.replace(left.partition("\n")[0], str(os.getpid()), 1))
    with module.running(folder, keep=True) as url:
        assert fetch(url, "SELECT count(*) FROM kept") == [0]
    postgresql.forget(folder)


def test_long_names_with_spaces_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a socket may have about 100 bytes, those of data and `TMPDIR` more."""
    folder = tmp_path / ("a long name " * 10)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with postgresql.running(folder / "postgresql") as url:
        assert fetch(url, "SELECT 1") == [1]
    with valkey.load().running() as url, redis.Redis.from_url(url) as client:
        assert client.ping()


def test_failed_start_shows_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load()
    folder = tmp_path / "postgresql"
    monkeypatch.setattr(module, "_FAST", "-c no_such_setting=1")
    with (
        pytest.raises(RuntimeError, match=r"(?s)pg_ctl exited 1 .*no_such_setting"),
        module.running(folder, keep=False),
    ):
        pass
    postgresql.forget(folder)


def test_missing_binaries_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load()
    monkeypatch.setattr(module, "_local_binaries", lambda: iter(()))
    monkeypatch.setattr(module, "_wheel_binaries", lambda *, as_root: iter(()))
    with (
        pytest.raises(module.NoPostgreSQL, match=r"(?s)set \{variable\} .*docker run"),
        module.running(tmp_path / "postgresql", keep=True),
    ):
        pass
    postgresql.forget(tmp_path / "postgresql")


@pytest.mark.skipif(os.geteuid() != 0, reason="everybody else is a normal user anyway")
def test_normal_user_can_start_a_server() -> None:
    """Uses the system's Python, since a normal user may not enter root's."""
    python = shutil.which("python3", path="/usr/bin")
    assert python is not None
    nobody = pwd.getpwnam("nobody")
    folder = Path(f"/tmp/normal-user-{os.getpid()}")  # noqa: S108
    folder.mkdir(mode=0o700)
    shutil.copy(postgresql.SOURCE, folder / "postgresql.py")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    code = (
        "from pathlib import Path; from postgresql import running\n"
        "with running(Path('data').absolute(), keep=False) as url: print(url)"
    )
    module = load()
    binaries = module._binaries(folder / "data", as_root=True)
    try:
        done = subprocess.run(
            [python, "-B", "-c", code],
            cwd=folder,
            env={"PATH": f"{binaries}:/usr/bin:/bin"},
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("postgresql://")
        assert not (folder / "data/data").exists()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("variant", VARIANTS[:1], indirect=True)
def test_suite_leaves_a_given_server_unchanged(
    installed: Rendered, variant: Answers, server_url: str
) -> None:
    """The suite uses only databases that it creates and drops."""
    project = installed(**variant)
    mine = new_database(server_url)
    postgresql.execute(mine, "CREATE TABLE users (precious INTEGER)")
    postgresql.execute(mine, "INSERT INTO users VALUES (1)")
    before = databases(server_url)
    run(
        project,
        *("uv", "run", "pytest", "-n", "2", "tests/users", "tests/kit/database"),
        settings={"TEST_DATABASE_URL": mine},
    )
    assert databases(server_url) == before
    assert fetch(mine, "SELECT precious FROM users") == [1]


def fetch(url: str, query: str) -> list[object]:
    async def run() -> list[object]:
        connection = await asyncpg.connect(url)
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(run())


def databases(url: str) -> set[object]:
    """Return the names of all databases but those that other tests make meanwhile."""
    return set(fetch(url, "SELECT datname FROM pg_database WHERE datname NOT LIKE 'service_%'"))
