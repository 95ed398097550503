"""Updates and changed answers lose nothing of an owner's work."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.conftest import Rendered, as_parameter, one_with, python_of
from tests.projects import environment, files, git, run, using
from tests.updates import (
    SOURCES,
    History,
    Outcome,
    Own,
    account,
    commit,
    copied,
    empty_folders,
    own_of,
    replace,
    scaffold,
    update,
)
from tests.variants import (
    ROOT,
    Answers,
    Pair,
    choices,
    covering_pairs,
    focused,
    kind_of,
    name_of,
    name_of_pair,
    pairs,
)

Scaffolded = Callable[..., Path]


@pytest.fixture(scope="session")
def scaffolded(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Scaffolded:
    """Return a project that was rendered and committed. Copy it to change it."""
    made: dict[str, Path] = {}

    def get(**answers: Any) -> Path:
        name = name_of(answers)
        if name not in made:
            made[name] = scaffold(template, tmp_path_factory.mktemp("scaffolded") / "p", **answers)
        return made[name]

    return get


@dataclass(frozen=True)
class LivedIn:
    """A project in which its owner has worked, and their work."""

    project: Path
    own: Own


LivedInProjects = Callable[[Answers, bool], LivedIn]


@pytest.fixture(scope="session")
def lived_in(scaffolded: Scaffolded, tmp_path_factory: pytest.TempPathFactory) -> LivedInProjects:
    """Return a project with the owner's slices and, optionally, edits in the template's files."""
    made: dict[tuple[str, bool], LivedIn] = {}

    def get(answers: Answers, edited: bool) -> LivedIn:
        key = (name_of(answers), edited)
        if key not in made:
            pristine = scaffolded(**answers)
            project = copied(pristine, tmp_path_factory.mktemp("lived-in") / "p")
            history = History(answers)
            history.slices(project)
            if edited:
                history.edits(project)
            commit(project, "Work of weeks")
            made[key] = LivedIn(project, own_of(pristine, project))
        return made[key]

    return get


@pytest.fixture
def switched(
    lived_in: LivedInProjects, rendered: Rendered, tmp_path: Path
) -> Iterator[Callable[..., Outcome]]:
    """Switch an answer in a project that was worked in; return how it went."""

    def switch(pair: Pair, *, edited: bool, **options: Any) -> Outcome:
        before = lived_in(pair[0], edited)
        project = copied(before.project, tmp_path / f"{edited}{len(options)}")
        name, _, answer = kind_of(pair)
        update(project, **{name: answer}, **options)
        return account(before.own, project, rendered(**pair[1]))

    yield switch
    shutil.rmtree(tmp_path)


def test_an_update_without_news_changes_nothing(
    scaffolded: Scaffolded, paired_variant: Answers, tmp_path: Path
) -> None:
    project = copied(scaffolded(**paired_variant), tmp_path / "p")
    before = files(project)
    head = git(project, "log", "--format=%H %T")
    (project / ".git/ours").write_text("ours")
    update(project)
    assert git(project, "status", "--short", "--ignored") == ""
    assert files(project) == before
    assert git(project, "log", "--format=%H %T") == head
    assert (project / ".git/ours").read_text() == "ours"


def test_a_switch_equals_a_fresh_render(
    scaffolded: Scaffolded, rendered: Rendered, pair: Pair, tmp_path: Path
) -> None:
    """There and back."""
    project = copied(scaffolded(**pair[0]), tmp_path / "p")
    for answers in reversed(pair):
        name, *_ = kind_of(pair)
        update(project, **{name: answers[name]})
        assert files(project) == files(rendered(**answers))
        assert not empty_folders(project)
        commit(project, "Switched")
    shutil.rmtree(tmp_path)


def takes_away(pair: Pair) -> bool:
    """Tell whether an option goes with its folders, rather than one kind of it becoming another."""
    name, before, after = kind_of(pair)
    return after in ("none", False) or name == "ci" or (name == "database" and before == "none")


def test_owners_work_is_kept(
    switched: Callable[..., Outcome], rendered: Rendered, request: pytest.FixtureRequest, way: Pair
) -> None:
    """Slices merge without a conflict. Edits are lost only in files that went with an option.

    With `--conflict rej`, they are in a `.rej` file.
    """
    assert switched(way, edited=False) == Outcome({}, [], [])
    with_edits = switched(way, edited=True)
    if takes_away(way):
        gone = tuple(f"{name}: " for name in with_edits.vanished)
        assert [line for line in with_edits.lost if not line.startswith(gone)] == []
        assert switched(way, edited=True, conflict="rej").lost == []
    else:
        assert with_edits.lost == with_edits.vanished == []
    if way in shown_ways():
        compare_row(way, with_edits, rendered, request.config.getoption("write_table"))


def ways() -> list[Pair]:
    """Return switches in which each answer becomes another beside every other answer."""
    return [way for pair in covering_pairs() for way in (pair, pair[::-1])]


def shown_ways() -> list[Pair]:
    """Return one switch of each kind: those that the table shows."""
    found: dict[tuple[str, Any, Any], Pair] = {}
    for way in ways():
        found.setdefault(kind_of(way), way)
    return list(found.values())


def compare_row(pair: Pair, outcome: Outcome, rendered: Rendered, write: bool) -> None:
    """Compare a row of the table in `docs/updates.md`; put it there with `--write-table`."""
    name, old, new = (str(each).lower() for each in kind_of(pair))
    before, after = (files(rendered(**answers)) for answers in pair)
    changed = sum(after[each] != before[each] for each in before.keys() & after.keys())
    tree = f"{changed} | {len(after.keys() - before.keys())} | {len(before.keys() - after.keys())}"
    gone, lost = len(outcome.lost), 0  # asserted above: what was lost was in files that went
    key = f"| `{name}`: {old} -> {new} |"
    row = f"{key} {tree} | 0 | {outcome.hunks} | {len(outcome.unparsable)} | {lost} | {gone} |"
    with (ROOT / "docs/updates.md").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several processes write rows
        text = file.read()
        if not write:
            assert row in text, f"the table is stale, write it with --write-table: {row}"
            return
        head, rows, tail = re.split(r"(?<=-->\n)((?:\|.*\n)*)(?=<!-- end)", text)
        title, line, *others = rows.splitlines()
        kept = [each for each in others if not each.startswith(key)]
        file.seek(0)
        file.truncate()
        file.write(head + "\n".join([title, line, *sorted([*kept, row])]) + "\n" + tail)


def smallest(pair: Pair) -> int:
    """Order pairs by how many answers beside the switched one add something."""
    return sum(value not in ("none", False, "depends") for value in {**pair[0], **pair[1]}.values())


def kinds() -> list[Pair]:
    """Return the smallest pair for each switch of an answer to another one, in both directions."""
    found: dict[tuple[str, Any, Any], Pair] = {}
    for pair in sorted(pairs(), key=smallest):
        for each in (pair, pair[::-1]):
            found.setdefault(kind_of(each), each)
    return list(found.values())


# The most likely switches; `nox -s switches` runs the suites after all kinds of them.
USUAL = [
    ("lifecycle", "depends", "clean-ioc"),
    ("lifecycle", "clean-ioc", "depends"),
    ("lifecycle", "depends", "dishka"),
    ("lifecycle", "clean-ioc", "dishka"),
    ("lifecycle", "dishka", "depends"),
    ("database", "sqlite", "postgresql"),
    ("database", "sqlite", "none"),
    ("cache", "memory", "redis"),
    ("websockets", "none", "redis"),
    ("jobs", "redis", "postgresql"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `way` and `kind` by switches.

    All sampled ones with `--switches`, else one of each kind or the usual ones.
    """
    every, few = metafunc.config.getoption("switches"), metafunc.config.getoption("quick")
    chosen = {
        "way": ways() if every else shown_ways(),
        "kind": [pair for pair in kinds() if every or kind_of(pair) in USUAL],
    }
    for name in chosen.keys() & set(metafunc.fixturenames):
        those = chosen[name][:2] if few else chosen[name]
        ids = [name_of_pair(each) for each in those]
        if name == "kind":
            ids = [
                f"{id_}-py{python_of(pair[1]).short_name}"
                for id_, pair in zip(ids, those, strict=True)
            ]
        metafunc.parametrize(name, those, ids=ids)


def test_the_suite_passes_after_a_switch(
    scaffolded: Scaffolded,
    kind: Pair,
    tmp_path: Path,
    type_cache: Path,
    request: pytest.FixtureRequest,
) -> None:
    """With the owner's slices, in the environment of the switched project.

    The kit's packages are as in a fresh render, whose suite runs them: here only on demand.
    """
    every = request.config.getoption("switches")
    suite = () if every else ("--ignore-glob=*/tests/kit/*/test_*.py",)
    before, after = kind
    project = copied(scaffolded(**before), tmp_path / "p")
    history = History(before)
    history.slices(project, with_database="none" not in (before["database"], after["database"]))
    name, _, answer = kind_of(kind)
    with using(UV_PYTHON=python_of(after).executable):
        if name == "lifecycle" and before[name] != "depends":
            history.convert(project)
        commit(project, "Work of weeks")
        update(project, **{name: answer})
        git(project, "diff", "--check")
        run(project, "uv", "sync", "--quiet")
        run(project, "uv", "run", "ruff", "check", ".")
        run(project, "uv", "run", "mypy", f"--cache-dir={type_cache}")
        output = run(project, "uv", "run", "pytest", "-p", "no:cacheprovider", *suite)
    assert re.search(r"\d+ passed", output)
    assert not re.search(r"\d+ (skipped|xfailed|xpassed)", output)
    shutil.rmtree(tmp_path)


WITH_CONTAINER = [
    as_parameter(each)
    for each in focused(
        "lifecycle", database="sqlite", cache="memory", websockets="memory", examples=True
    )
    if each["lifecycle"] != "depends"
]


@pytest.mark.parametrize("variant", WITH_CONTAINER, indirect=True)
def test_slices_become_plain_by_a_command(
    scaffolded: Scaffolded, variant: Answers, tmp_path: Path, type_cache: Path
) -> None:
    """The owner's as if written by hand; the suite passes with the template's own, too."""
    project = copied(scaffolded(**variant), tmp_path / "p")
    history = History(variant)
    history.slices(project)
    with using(UV_PYTHON=python_of(variant).executable):
        history.convert(project)
        for name in ("greetings", "notes"):
            path = f"app/{name}/dependencies.py"
            assert (project / path).read_text() == (SOURCES / f"{name}-depends" / path).read_text()
        examples = project / "app/examples/dependencies.py"
        if "once_per_graph" in (text := examples.read_text()):
            with pytest.raises(AssertionError, match="Draft is made once per graph: make it scop"):
                history.convert(project, "users", "examples")
            assert "Resolve(" in (project / "app/users/dependencies.py").read_text()
            examples.write_text(text.replace("once_per_graph", "scoped"))
        history.convert(project, "auth", "examples", "rooms", "users")
        run(project, "uv", "run", "ruff", "check", ".")
        run(project, "uv", "run", "ruff", "format", "--check", ".")
        run(project, "uv", "run", "mypy", f"--cache-dir={type_cache}")
        suite = ("-p", "no:cacheprovider", "--ignore=tests/examples/test_once_per_graph.py")
        output = run(project, "uv", "run", "pytest", *suite)
    assert re.search(r"\d+ passed", output)
    shutil.rmtree(tmp_path)


SMALL = focused(database="none")[0]


def test_an_answer_brings_files_where_the_owner_has_some(
    scaffolded: Scaffolded, rendered: Rendered, tmp_path: Path
) -> None:
    """Nothing is lost when a Dockerfile of the owner's meets the template's."""
    without_files = SMALL | {"docker": False, "ci": "none"}
    old = scaffolded(**without_files)
    project = copied(old, tmp_path / "project")
    theirs = {
        "Dockerfile": "FROM scratch\nCOPY ours /\n",
        "compose.yaml": "services: { ours: { build: . } }\n",
        ".editorconfig": "root = true\n\n[*.py]\nmax_line_length = 100\n",
        ".github/workflows/ci.yml": "name: Ours\non: push\n",
    }
    for name, text in theirs.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    own = own_of(old, project)
    commit(project, "What we had before the template")
    update(project)
    assert {name: (project / name).read_text() for name in theirs} == theirs
    update(project, docker=True, ci="github")
    outcome = account(own, project, rendered(**SMALL | {"docker": True, "ci": "github"}))
    assert outcome.lost == outcome.vanished == []


def copier(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Copier from the command line."""
    command = [sys.executable, "-m", "copier", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment(), check=False, capture_output=True, text=True
    )


SAME = ("update", "--defaults", "--vcs-ref=:current:")


@pytest.mark.parametrize(
    ("arguments", "answers", "message"),
    [
        (("--data", "database=mysql"), {}, "'mysql' is not in ['sqlite', 'postgresql', 'none']"),
        ((), {"cache: none": "cache: memcached"}, "'memcached' is not in"),
        (("--data", "database=sqlite"), {}, "`jobs: postgresql` needs `database: postgresql`"),
        ((), {"database: postgresql": "database: sqlite"}, "needs `database: postgresql`"),
    ],
)
def test_wrong_answers_are_refused(
    scaffolded: Scaffolded,
    tmp_path: Path,
    arguments: tuple[str, ...],
    answers: dict[str, str],
    message: str,
) -> None:
    """And nothing is changed."""
    (variant,) = focused(database="postgresql", jobs="postgresql")
    project = copied(scaffolded(**variant), tmp_path / "p")
    for old, new in answers.items():
        replace(project / ".copier-answers.yml", old, new)
    commit(project, "By hand")
    done = copier(project, *SAME, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert git(project, "status", "--short") == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [("cache: none", "cache: memory"), ("cache: none\n", ""), ("cache", "colour: red\ncache")],
)
@one_with(database="none")
def test_answers_changed_by_hand_fail_the_suite(
    installed: Rendered, variant: Answers, tmp_path: Path, old: str, new: str
) -> None:
    """Copier accepts or drops them silently."""
    project = copied(installed(**variant), tmp_path / "p")
    run(project, "uv", "run", "pytest", "tests/kit/test_answers.py")
    replace(project / ".copier-answers.yml", old, new)
    with pytest.raises(AssertionError, match="test_no_answer_was_changed_by_hand"):
        run(project, "uv", "run", "pytest", "tests/kit/test_answers.py")


def test_every_question_with_choices_is_compared(rendered: Rendered) -> None:
    text = (rendered(**SMALL) / "tests/kit/test_answers.py").read_text()
    assert set(re.findall(r'^    "(\w+)": ', text, re.MULTILINE)) == choices().keys()


def test_recopying_keeps_files_of_the_owners(lived_in: LivedInProjects, tmp_path: Path) -> None:
    before = lived_in(SMALL, True)
    project = copied(before.project, tmp_path / "p")
    done = copier(project, "recopy", "--defaults", "--force", "--vcs-ref=:current:")
    assert done.returncode == 0, done.stderr
    status = git(project, "status", "--short").splitlines()
    changed = {line[3:] for line in status}
    assert not [line for line in status if line.startswith(" D")]
    assert "app/greetings/service.py" not in changed  # theirs
    assert "app/kit/http_client.py" in changed  # the template's, as it was rendered
    assert "max_connections=100" in (project / "app/kit/http_client.py").read_text()


def test_a_newer_version_is_announced(
    template: Path, scaffolded: Scaffolded, tmp_path: Path
) -> None:
    moved = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(template), str(moved))
    project = scaffold(moved, tmp_path / "p", **SMALL)
    assert "up-to-date" in copier(project, "check-update").stdout
    (moved / "template/news.txt").write_text("News.\n")
    commit(moved, "News")
    git(moved, "tag", "v9999.1.0")
    assert "9999.1.0" in copier(project, "check-update").stdout
    assert copier(project, "check-update", "--quiet").returncode == 2
    assert copier(project, "update", "--defaults").returncode == 0
    assert git(project, "status", "--short") == " M .copier-answers.yml\n?? news.txt\n"
    commit(project, "Updated")
    assert "up-to-date" in copier(project, "check-update").stdout


def test_a_project_from_an_untagged_clone_can_be_updated(template: Path, tmp_path: Path) -> None:
    moved = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(template), str(moved))
    project = scaffold(moved, tmp_path / "p", version="HEAD", **SMALL)
    update(project, to="HEAD", cache="memory")
    assert (project / "app/kit/cache").is_dir()
    commit(project, "Switched")
    (moved / "template/news.txt").write_text("News.\n")
    commit(moved, "News")
    git(moved, "tag", "v9999.1.0")
    done = copier(project, "update", "--defaults")
    assert done.returncode == 0, done.stderr
    assert (project / "news.txt").is_file()


def test_the_queues_tables_are_taken_down_before_the_answer_changes(
    scaffolded: Scaffolded, server_url: str, redis_url: str, tmp_path: Path
) -> None:
    """As docs/updating.md says; without it, `migrate` names the remedy."""
    (variant,) = focused(database="postgresql", jobs="postgresql")
    project = copied(scaffolded(**variant), tmp_path / "p")
    urls = [postgresql.new_database(server_url) for _ in range(2)]
    settings = {"SECRET_KEY": "a key for tests that guards nothing at all", "REDIS_URL": redis_url}
    migrate = ("uv", "run", "python", "-m", "app", "migrate")
    for url in urls:
        run(project, *migrate, settings=settings | {"DATABASE_URL": url})
    down = ("uv", "run", "python", "-m", "app", "downgrade", "jobs@base")
    run(project, *down, settings=settings | {"DATABASE_URL": urls[0]})
    commit(project, "The lock file")
    update(project, jobs="redis")
    run(project, *migrate, settings=settings | {"DATABASE_URL": urls[0]})
    with pytest.raises(
        AssertionError, match="'jobs_0001': check out the code that has it"
    ) as failed:
        run(project, *migrate, settings=settings | {"DATABASE_URL": urls[1]})
    assert "Traceback" not in str(failed.value)
