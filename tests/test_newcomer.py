"""A newcomer's first minutes, by the commands that are printed."""

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from tests import postgresql
from tests.conftest import (
    PYTHONS,
    Rendered,
    ServiceSettings,
    as_parameter,
    as_rendered,
    python_of,
)
from tests.interpreters import Interpreter
from tests.projects import environment, git, render, run, using
from tests.servers import PASSWORD, start
from tests.test_questions import copy
from tests.variants import ROOT, Answers, all_variants, covering_set, focused, questions

OLDEST: str = yaml.safe_load(questions()["pythons"]["default"])[0]
KEY = "a key for tests that guards nothing at all"


@pytest.fixture
def project(template: Path, tmp_path: Path, variant: Answers) -> Iterator[Path]:
    """A render of one's own, with nothing done in it yet."""
    yield render(template, tmp_path / "my service", **variant)
    postgresql.forget(tmp_path / "my service/data/postgresql")


@pytest.mark.parametrize(
    "variant", [as_parameter(each) for each in covering_set(all_variants(), 2)], indirect=True
)
def test_the_development_server_starts_from_nothing(project: Path) -> None:
    with start(project, "uv", "run", "dev.py") as service:
        port = service.url.rpartition(":")[2]
        assert f"Docs: http://127.0.0.1:{port}/docs" in service.log.read_text()
        assert httpx2.get(f"{service.url}/docs", timeout=30).status_code == 200
        assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
        assert service.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.parametrize(
    "variant", [as_parameter(each) for each in covering_set(all_variants(), 1)], indirect=True
)
def test_the_development_server_keeps_what_it_wrote_for_others(
    project: Path, variant: Answers, settings_of: ServiceSettings
) -> None:
    """`fastapi dev` starts no servers, so it has to be told where they are."""
    with start(project, "uv", "run", "dev.py") as service:
        written = (project / ".env").read_bytes()
        service.stop()
    with start(project, "uv", "run", "dev.py") as service:
        assert (project / ".env").read_bytes() == written
        service.stop()
    settings = settings_of(variant)
    if variant["database"] == "sqlite":
        del settings["DATABASE_URL"], settings["SECRET_KEY"]
    if variant["database"] != "none":
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    with start(project, "uv", "run", "fastapi", "dev", settings=settings) as service:
        assert httpx2.get(f"{service.url}/readyz", timeout=30).status_code == 200
        service.stop()


def test_the_printed_commands_work(template: Path, tmp_path: Path) -> None:
    done = copy(template, tmp_path / "my service")
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"^ {4}(.+)$", done.stderr, re.MULTILINE)
    assert commands[0].startswith("cd ")
    assert commands[1] == "uv run dev.py"
    shell = ("bash", "-c", f'{commands[0]} && exec {commands[1]} "$@"', "newcomer")
    with start(tmp_path, *shell) as service:
        assert httpx2.get(f"{service.url}/readyz", timeout=30).status_code == 200
        service.stop()


def too_old() -> list[str]:
    """Return the newest Python that is not supported, if the machine has it."""
    name = f"python3.{int(OLDEST.rpartition('.')[2]) - 1}"
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = [shutil.which(name), *pyenv.glob(f"versions/*/bin/{name}")]
    return [
        str(each)
        for each in found
        if each
        and subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0
    ][:1]


@pytest.mark.parametrize(
    "variant", [as_rendered(each) for each in covering_set(all_variants(), 1)], indirect=True
)
def test_a_python_that_is_too_old_is_named_in_one_line(
    rendered: Rendered, variant: Answers
) -> None:
    """Before it imports anything that may be missing; with a real and a pretended Python."""
    major, minor = map(int, OLDEST.split("."))
    pretend = f"import runpy, sys; sys.version_info = ({major}, {minor - 1}, 0, 'final', 0); "
    run_file, run_app = "runpy.run_path('dev.py', None, '__main__')", "runpy.run_module('app')"
    commands = [
        *((sys.executable, "-c", pretend + each) for each in (run_file, run_app)),
        *((python, *how) for python in too_old() for how in (("dev.py",), ("-m", "app"))),
    ]
    for command in commands:
        with pytest.raises(AssertionError, match="exited 1") as raised:
            run(rendered(**variant), *command)
        _, said = str(raised.value).split(" exited 1:\n")
        assert re.fullmatch(rf"This service needs Python {re.escape(OLDEST)} or newer.*\n", said)


@pytest.mark.parametrize("variant", [as_parameter(focused()[0])], indirect=True)
def test_uv_names_the_oldest_python(rendered: Rendered, variant: Answers, tmp_path: Path) -> None:
    """In one line, before anything is installed; the project needs the next Python."""
    project = tmp_path / "project"
    shutil.copytree(rendered(**variant), project)
    declared = (project / "pyproject.toml").read_text()
    assert f'requires-python = ">={OLDEST}"' in declared
    next_one = f">=3.{python_of(variant).minor[1] + 1}"
    (project / "pyproject.toml").write_text(declared.replace(f">={OLDEST}", next_one))
    with pytest.raises(AssertionError, match="exited 2") as raised:
        run(project, "uv", "run", "dev.py")
    _, said = str(raised.value).split(" exited 2:\n")
    assert re.search(rf"error: .*Python.* `{re.escape(next_one)}`", " ".join(said.split()))
    assert not (project / ".venv").exists()


USERS = [
    as_parameter(each) for each in focused("lifecycle", "database") if each["database"] != "none"
]
SQLITE = [as_parameter(each) for each in focused(database="sqlite")]


@pytest.mark.parametrize("variant", USERS, indirect=True)
def test_the_way_of_a_user_on_two_workers(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings
) -> None:
    """Register, sign in, read, become an admin; then SIGTERM."""
    project = installed(**variant)
    settings = settings_of(variant)
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    command = ("uv", "run", "python", "-m", "app", "serve", "--workers", "2")
    with start(project, *command, settings=settings) as service:
        with httpx2.Client(base_url=service.url) as client:
            form = {"email": "ada@example.com", "password": PASSWORD}
            assert client.post("/register", json=form).status_code == 201
            credentials = {"username": "ada@example.com", "password": PASSWORD}
            token = client.post("/token", data=credentials).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.get("/profile").json()["email"] == "ada@example.com"
            assert client.get("/users").status_code == 403
            admin = f"echo '{PASSWORD}' | uv run python -m app create-admin ada@example.com"
            assert "is an admin now" in run(project, "bash", "-c", admin, settings=settings)
            assert client.get("/profile").status_code == 401  # the password was set anew
            token = client.post("/token", data=credentials).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert [user["email"] for user in client.get("/users").json()["items"]] == [
                "ada@example.com"
            ]
        assert service.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        log = service.log.read_text()
    assert log.count("Application shutdown complete") == 2
    assert PASSWORD not in log
    assert "SMTP_URL is not set" in log  # the mail did not leave, and that is said


@pytest.mark.parametrize("variant", SQLITE, indirect=True)
def test_an_unusable_setting_is_named(installed: Rendered, variant: Answers) -> None:
    project = installed(**variant)
    for settings, said in [
        ({}, "SECRET_KEY: Field required"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY: "),
        ({"SECRET_KEY": KEY, "DATABASE_URL": "mysql://x"}, "DATABASE_URL: "),
        ({"SECRET_KEY": KEY, "LOG_LEVEL": "LOUD"}, "LOG_LEVEL: "),
    ]:
        done = subprocess.run(
            ["uv", "run", "python", "-m", "app", "serve"],
            cwd=project,
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert "short" not in done.stderr.replace("shorter", "")


@pytest.mark.parametrize("variant", USERS[:2], indirect=True)
def test_four_processes_may_migrate_at_once(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings
) -> None:
    project = installed(**variant)
    settings = settings_of(variant)
    command = ["uv", "run", "python", "-m", "app", "migrate"]
    processes = [
        subprocess.Popen(command, cwd=project, env=environment(**settings), stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors


@pytest.mark.parametrize("variant", USERS[:2], indirect=True)
def test_no_acknowledged_change_is_lost_by_kill_9(
    installed: Rendered, variant: Answers, settings_of: ServiceSettings
) -> None:
    """The service is killed while it writes; whatever it acknowledged is there afterwards."""
    project = installed(**variant)
    settings = settings_of(variant)
    run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    command = ("uv", "run", "python", "-m", "app", "serve")
    acknowledged = 0
    with (
        start(project, *command, settings=settings) as service,
        httpx2.Client(base_url=service.url) as client,
    ):
        form = {"email": "ada@example.com", "password": PASSWORD}
        client.post("/register", json=form)
        credentials = {"username": "ada@example.com", "password": PASSWORD}
        token = client.post("/token", data=credentials).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        # `uv run` forwards no SIGKILL: the service itself is its child.
        kill = ["pkill", "-KILL", "-P", str(service.process.pid)]
        timer = threading.Timer(2, subprocess.run, [kill])
        timer.start()
        with pytest.raises(httpx2.HTTPError):
            while True:
                change = {"full_name": str(acknowledged + 1)}
                assert client.patch("/profile", json=change).status_code == 200
                acknowledged += 1
        timer.join()
        service.process.wait(30)
    assert acknowledged > 10
    with start(project, *command, settings=settings) as service:
        headers = {"Authorization": f"Bearer {token}"}
        found = int(
            httpx2.get(f"{service.url}/profile", headers=headers, timeout=30).json()["full_name"]
        )
        assert found - acknowledged in (0, 1)  # the last one may be there without its answer
        service.stop()


FAULTS = {
    "clean-ioc": [
        (
            "    container.register(UserRepository, lifespan=Lifespan.scoped)\n",
            "",
            "needs UserRepository, which nothing provides: provide it in a `dependencies.py`",
        ),
        (
            "container.register(UserService, lifespan=Lifespan.scoped)",
            "container.register(UserService, lifespan=Lifespan.singleton)",
            "the singleton app/users/service.py: UserService would keep app/kit/database/",
        ),
        (
            "def make_password_hasher() -> PasswordHasher:",
            "def make_password_hasher(users: UserService) -> PasswordHasher:",
            "a cycle: app/users/service.py: UserService -> app/users/passwords.py: PasswordHasher",
        ),
    ],
    "dishka": [
        (
            "provide_all(UserRepository, UserMails,",
            "provide_all(UserMails,",
            "Cannot find factory for (UserRepository, component='').",
        ),
        (
            "UserService, scope=Scope.REQUEST)",
            "UserService, scope=Scope.APP)",
            "Try changing scope of `UserRepository` to Scope.REQUEST",
        ),
        (
            "@provide(scope=Scope.APP)\n    def password_hasher(self)",
            "@provide(scope=Scope.REQUEST)\n    def password_hasher(self, users: UserService)",
            "app.users.passwords.PasswordHasher   UserProvider.password_hasher",
        ),
    ],
}


@pytest.mark.parametrize(
    ("lifecycle", "old", "new", "said"),
    [(lifecycle, *fault) for lifecycle, faults in FAULTS.items() for fault in faults],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_faulty_graph_stops_the_service_at_start(
    installed: Rendered,
    tmp_path: Path,
    lifecycle: str,
    old: str,
    new: str,
    said: str,
    workers: str,
) -> None:
    (variant,) = focused(lifecycle=lifecycle, database="sqlite")
    project = tmp_path / "faulty"
    shutil.copytree(installed(**variant), project, symlinks=True)
    wiring = project / "app/users/dependencies.py"
    assert old in wiring.read_text()
    wiring.write_text(wiring.read_text().replace(old, new))
    done = subprocess.run(
        ["uv", "run", "python", "-m", "app", "serve", "--port", "0", "--workers", workers],
        cwd=project,
        env=environment(SECRET_KEY=KEY),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr


def readme_commands() -> list[str]:
    """Return the commands in the README's code blocks, which name no language."""
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return [block.strip() for language, block in blocks if not language]


OLDEST_AND_NEWEST = [
    pytest.param(each, id=each.short_name) for each in dict.fromkeys((PYTHONS[0], PYTHONS[-1]))
]


@pytest.mark.parametrize("python", OLDEST_AND_NEWEST)
def test_the_readmes_first_command_scaffolds_and_runs_a_service(
    template: Path, tmp_path: Path, python: Interpreter
) -> None:
    """With a `python3` that is a shim, and nothing that tells uv of another Python."""
    shim = tmp_path / "shims/python3"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(python.executable)} "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    clone = tmp_path / "a fresh clone"
    git(tmp_path, "clone", "--quiet", str(template), str(clone))
    command = readme_commands()[0].replace("copier copy", "copier copy --defaults")
    shell = ("bash", "-c", f'{command} "$@"', "newcomer")
    with (
        using(PATH=path, UV_PYTHON=""),
        start(clone, *shell, timeout=180) as service,
    ):
        assert httpx2.get(f"{service.url}/docs", timeout=30).status_code == 200
        service.stop()
    chosen = (tmp_path / "my-service/.venv/pyvenv.cfg").read_text()
    assert f"version_info = {python.name}\n" in chosen
    answers = yaml.safe_load((tmp_path / "my-service/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(clone)  # where an update finds the template


def test_ci_runs_the_readmes_second_command() -> None:
    assert readme_commands()[1] in (ROOT / ".ci/run").read_text().replace(" --quiet", "")
