"""Fixtures of the template's own tests."""

import argparse
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
from copier._main import Worker
from plumbum import local
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests import debian, interpreters, postgresql
from tests.bytecode import Bytecode
from tests.interpreters import Interpreter, code_name
from tests.projects import remembering, render, run, snapshot, using
from tests.valkey import Valkey, load, running
from tests.variants import (
    Answers,
    all_variants,
    choices,
    code_of,
    command_for,
    covering_pairs,
    covering_set,
    focused,
    name_of,
    name_of_pair,
    pairs,
    with_answer,
)

NEWEST = {"UV_PRERELEASE": "allow"}
"""The environment that `--newest` adds to commands."""
collect_ignore = ["history"]
"""Code of a rendered project's owner: its tests run there."""


def _shard(text: str) -> tuple[int, int]:
    """Return which part of how many."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError("write 2/5 for the second of five parts")
    return int(found[1]), int(found[2])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", action="store_true", help="run the suites of all variants")
    parser.addoption("--switches", action="store_true", help="switch every answer in every variant")
    parser.addoption("--write-table", action="store_true", help="write docs/updates.md anew")
    parser.addoption("--quick", action="store_true", help="run one variant of each test only")
    parser.addoption("--shard", type=_shard, default=(1, 1), help="of all variants: a part, as 2/5")
    parser.addoption("--python", action="append", default=[], help="run on this one alone, as 3.13")
    parser.addoption("--newest", action="store_true", help="on the newest Python, on pre-releases")


PYTHONS: list[Interpreter] = []
"""The interpreters that this run is spread over."""


def pytest_configure(config: pytest.Config) -> None:
    """Find the interpreters before test ids name them: one process does it for all of the run."""
    if hasattr(config, "workerinput"):
        PYTHONS[:] = interpreters.from_json(config.workerinput["pythons"])
        return
    asked, newest = config.getoption("python"), config.getoption("newest")
    try:
        PYTHONS[:] = interpreters.choose(interpreters.find(), asked, newest=newest)
    except interpreters.UnusablePythons as error:
        raise pytest.UsageError(str(error)) from None


def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["pythons"] = interpreters.to_json(PYTHONS)


def pytest_report_header() -> list[str]:
    found = ", ".join(f"{each.name} ({each.executable})" for each in PYTHONS)
    missing = ", ".join(interpreters.unproved(PYTHONS))
    return [f"Pythons: {found}", *([f"Pythons that are left out: {missing}"] if missing else [])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say on which Pythons suites ran, and on which they did not."""
    ran = Counter(
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if report.when == "call" and name == "suite ran on"
    )
    if not ran:
        return
    terminalreporter.section("Pythons")
    terminalreporter.line(interpreters.summary(ran))
    if unproved := interpreters.unproved(each for each in PYTHONS if each.name in ran):
        terminalreporter.line(f"NOT PROVED on Python {', '.join(unproved)}", red=True, bold=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `variant` by all variants, and slow tests by few.

    `suite_variant`: the variants whose suites run, with every triple of answers.
    `checked_variant`: the same, to be linted and typed.
    `paired_variant`: few variants with every pair of answers.
    `pair`: two variants that differ in one answer.
    """
    marked = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    open_names = set(metafunc.fixturenames) - marked
    asked = metafunc.config.getoption
    part = slice(asked("shard")[0] - 1, None, asked("shard")[1])
    every = all_variants()[part]
    suites = 2 if asked("newest") else 3
    chosen: dict[str, Callable[[], list[Answers]]] = {
        "variant": all_variants,
        "suite_variant": lambda: every if asked("matrix") else of_strength(suites),
        "checked_variant": lambda: every if asked("matrix") else of_strength(suites),
        "paired_variant": lambda: every if asked("matrix") or asked("switches") else of_strength(2),
    }
    as_ = as_parameter if "installed" in metafunc.fixturenames else as_rendered
    for name in chosen.keys() & open_names:
        those = of_strength(1) if asked("quick") else chosen[name]()
        metafunc.parametrize(name, [as_(each) for each in those], indirect=True)
    if "pair" in open_names:
        switched = pairs()[part] if asked("switches") else covering_pairs()
        switched = switched[:5] if asked("quick") else switched
        parameters = [pytest.param(each, id=name_of_pair(each)) for each in switched]
        metafunc.parametrize("pair", parameters)


@cache
def of_strength(strength: int) -> list[Answers]:
    """Return the covering set of all variants: to find it takes a moment, and every test asks."""
    return covering_set(all_variants(), strength)


def nearly(variant: Answers) -> Answers:
    """Return a variant without the answer to the last question that changes code."""
    return dict(list(code_of(variant).items())[:-1])


class _VariantScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Run all tests of one variant in one process, where they share its environment.

    The same holds for variants that differ only in the last question about code: the type checker
    knows most of the second one already.
    """

    names = re.compile("|".join({re.escape(name_of(nearly(each))) for each in all_variants()}))

    def _split_scope(self, nodeid: str) -> str:
        found = self.names.search(nodeid)
        return found[0] if found else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _VariantScheduling(config, log)


def every_pair_with(**answers: Any) -> pytest.MarkDecorator:
    """Parametrize `variant` so that the answers meet every other answer."""
    return _over(covering_set(with_answer(all_variants(), **answers), 1))


def one_with(**answers: Any) -> pytest.MarkDecorator:
    """Parametrize `variant` by the smallest with the answers."""
    return _over(focused(**answers))


def _over(variants: Sequence[Answers]) -> pytest.MarkDecorator:
    parameters = [as_parameter(each) for each in variants]
    return pytest.mark.parametrize("variant", parameters, indirect=True)


def as_parameter(variant: Answers) -> Any:
    """Return a test parameter that is named after the variant and the Python that it runs on."""
    return pytest.param(variant, id=f"{name_of(variant)}-py{python_of(variant).short_name}")


def as_rendered(variant: Answers) -> Any:
    """Return the same for a test that runs nothing in the variant."""
    return pytest.param(variant, id=name_of(variant))


@cache
def _spread() -> dict[str, Interpreter]:
    """Spread the covering sets first: each answer of theirs meets each Python."""
    return interpreters.spread([*of_strength(3), *of_strength(2), *all_variants()], PYTHONS)


def python_of(variant: Answers) -> Interpreter:
    """Return the Python that a variant runs on, in all tests of a run."""
    return _spread()[code_name(variant)]


@pytest.fixture(scope="session", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tester's Copier settings and git configuration out."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yml"
    settings.write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("COPIER_SETTINGS_PATH", str(settings)),
            ("GIT_CONFIG_GLOBAL", os.devnull),
        ):
            patch.setenv(name, value)
            local.env[name] = (
                value  # Copier's git commands read the environment as it was at import
            )
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_templates() -> Iterator[None]:
    """Save time in this process; what newcomers run is Copier's command as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", remembering(jinja2.Environment.compile))
        # Asks git about each file, and then has nothing to do but on Windows.
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda *_: None)
        yield


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder for all processes of the run. The first process wins."""
    if not folder.exists():
        own = folder.with_name(f"{folder.name}-{os.getpid()}")
        own.mkdir(parents=True)
        make(own)
        try:
            own.rename(folder)
        except OSError:
            shutil.rmtree(own)
    return folder


@pytest.fixture(scope="session")
def template(run_folder: Path) -> Path:
    """The template as it is in the work tree."""
    folder = once(run_folder / "template", lambda folder: snapshot(folder / "copier-fastapi"))
    return folder / "copier-fastapi"


@pytest.fixture(scope="session", autouse=True)
def _newest(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let uv resolve pre-releases when asked for what is to come."""
    with using(**NEWEST) if request.config.getoption("newest") else nullcontext():
        yield


@pytest.fixture
def variant(request: pytest.FixtureRequest) -> Iterator[Answers]:
    """A variant; all commands of the test run on its Python."""
    answers: Answers = request.param
    python = python_of(answers)
    newest = ("--prerelease", "allow") if request.config.getoption("newest") else ()
    command = command_for(answers, *newest, "--python", python.request)
    request.node.add_report_section("setup", "reproduce", command)
    if request.fixturename == "suite_variant":
        request.node.user_properties.append(("suite ran on", python.name))
    with using(UV_PYTHON=python.executable):
        yield answers


suite_variant = checked_variant = paired_variant = variant


Rendered = Callable[..., Path]


@pytest.fixture(scope="session")
def rendered(template: Path, run_folder: Path) -> Rendered:
    """Render a variant once. Tests that change it must render their own."""

    def get(**answers: Any) -> Path:
        assert answers.keys() == choices().keys()
        folder = run_folder / "rendered" / name_of(answers)
        return once(folder, lambda own: render(template, own / "p", **answers)) / "p"

    return get


@pytest.fixture(scope="session")
def installed(
    rendered: Rendered, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Rendered:
    """Return a copy of a variant with an environment of its own: what it declares, nothing else.

    Equal declarations are resolved once.
    """
    locks = run_folder / "locks"
    locks.mkdir(exist_ok=True)
    bytecode = Bytecode(run_folder / "bytecode")
    cache: dict[str, Path] = {}
    used: list[Path] = []

    def get(**answers: Any) -> Path:
        name = name_of(answers)
        if name not in cache:
            project = cache[name] = tmp_path_factory.mktemp(name) / "installed"
            shutil.copytree(rendered(**answers), project)
            declared = (project / "pyproject.toml").read_bytes()
            locked = locks / f"{hashlib.sha256(declared).hexdigest()}.lock"
            if locked.exists():
                shutil.copy(locked, project / "uv.lock")
            on = {"UV_PYTHON": python_of(answers).executable}
            run(project, "uv", "sync", "--quiet", settings=on)
            if used:
                bytecode.keep(used[-1])
            bytecode.lend(project)
            used.append(project)
            shutil.copy(project / "uv.lock", f"{locked}-{os.getpid()}")
            os.replace(f"{locked}-{os.getpid()}", locked)
        return cache[name]

    return get


@pytest.fixture(scope="session")
def server_url(run_folder: Path) -> Iterator[str]:
    """A PostgreSQL server for all tests of the run."""
    with postgresql.running(run_folder / "postgresql") as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer(run_folder: Path) -> debian.Program:
    """PgBouncer, installed or unpacked."""
    return _program("pgbouncer", run_folder)


@pytest.fixture(scope="session")
def nginx(run_folder: Path) -> debian.Program:
    """nginx, installed or unpacked."""
    return _program("nginx", run_folder)


def _program(name: str, run_folder: Path) -> debian.Program:
    try:
        return debian.program(name, name, run_folder / "debian")
    except debian.NoProgram as error:
        pytest.fail(str(error))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey server for one test, to be cut, frozen and killed."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Valkey server for all tests of the process."""
    with load().running() as url:
        yield url


ServiceSettings = Callable[[Answers], dict[str, str]]


@pytest.fixture
def settings_of(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceSettings:
    """Return what a variant needs in its environment, with a database that is not migrated yet."""

    def get(variant: Answers) -> dict[str, str]:
        settings = {"API_DOCS": "true"}
        if "redis" in (variant["cache"], variant["websockets"], variant["jobs"]):
            settings["REDIS_URL"] = request.getfixturevalue("redis_url")
        if variant["database"] == "none":
            return settings
        if variant["database"] == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path}/data/app.db"
        else:
            url = postgresql.new_database(request.getfixturevalue("server_url"))
        settings |= {
            "DATABASE_URL": url,
            "SECRET_KEY": "a key for tests that guards nothing at all",
        }
        return settings

    return get


@pytest.fixture(scope="session")
def type_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that type checks share: they see the same libraries."""
    return tmp_path_factory.mktemp("mypy")
