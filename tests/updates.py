"""Plays a user: works in a rendered project, updates it or changes an answer, and accounts for every line of theirs.

Made to be read by whoever maintains another template: only `History` knows this one.

    project = scaffold(template, folder, **answers)       a rendered project in a git repository
    History(answers).slices(project)                      its owner works in it
    own = own_of(fresh_before, project)                   what is theirs
    commit(project, "Work of weeks")
    update(project, database="postgresql")                what `copier update` does
    outcome = account(own, project, fresh_after)          conflicts, files that do not parse, lines lost
"""

import ast
import re
import shutil
import stat
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import copier

from tests.projects import VERSION, files, git, render, run
from tests.variants import ROOT

SOURCES = Path(__file__).parent / "history"
OF_ANSWERS = (
    "app/cache/responses.py",
    "app/cache/store.py",
    "app/database/engines.py",
    "app/database/session.py",
    "app/examples/background.py",
    "app/jobs/queue.py",
    "app/jobs/running.py",
    "app/scopes.py",
    "app/upstream/dependencies.py",
    "app/upstream/service.py",
    "app/users/dependencies.py",
    "app/users/service.py",
    "app/websockets/backplane.py",
    "app/websockets/handler.py",
    "tests/cache/test_store.py",
    "tests/database/fixtures.py",
    "tests/users/test_register.py",
)
"""Files that come, go or change with an answer, and that people have reason to change."""
BESIDE_CODE = (
    ".dockerignore",
    ".editorconfig",
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".gitlab-ci.yml",
    ".pre-commit-config.yaml",
    "Dockerfile",
    "compose.yaml",
)
"""Files that run no code of the service; not all of them are in every project."""
MARKER = b"<<<<<<< before updating"


def scaffold(template: Path, folder: Path, version: str = VERSION, **answers: Any) -> Path:
    """Render a variant and commit it, as its owner would."""
    render(template, folder, version, **answers)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "Scaffolded")
    return folder


def commit(project: Path, message: str) -> None:
    """Commit all that is there."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", message)


def released() -> dict[str, str]:
    """Return the commit of each released version, the oldest first: the one whose `CHANGELOG.md` gained its heading."""
    found: dict[str, str] = {}
    for hash_ in git(ROOT, "log", "--reverse", "--format=%H", "--", "CHANGELOG.md").split():
        changelog = git(ROOT, "show", f"{hash_}:CHANGELOG.md")
        for version in reversed(re.findall(r"^## (\d+\.\d+\.\d+)$", changelog, re.MULTILINE)):
            found.setdefault(version, hash_)
    return found


def copied(project: Path, folder: Path) -> Path:
    """Return a copy of a project with its repository."""
    shutil.copytree(project, folder, symlinks=True)
    return folder


def update(
    project: Path,
    *,
    conflict: Literal["inline", "rej"] = "inline",
    to: str | None = None,
    **answers: Any,
) -> None:
    """Update to a version of the template, the same one unless given, with some answers changed."""
    copier.run_update(
        project,
        data=answers,
        defaults=True,
        overwrite=True,
        quiet=True,
        conflict=conflict,
        vcs_ref=to or copier.VcsRef.CURRENT,
    )


class History:
    """What the owner of a project did in it before they update."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers

    def slices(self, project: Path, *, with_database: bool | None = None) -> None:
        """Add slices of their own, as the README says: code, a line in a list, a setting, a dependency, a revision."""
        if with_database is None:
            with_database = self.answers["database"] != "none"
        for name in ("greetings", "notes") if with_database else ("greetings",):
            self.add_files(project, name)
            add_to(
                project / "app/slices.py",
                f'    "{name}",\n',
                behind="    # Yours:\n",
                else_before="]\n\n\ndef",
            )
        append(
            project / "app/settings.py",
            '    greeting: str = "Hello"\n    """What visitors are greeted with."""\n',
        )
        add_to(
            project / "app/wiring.py",
            "Fakes = Sequence[Override]\n",
            behind="# Yours:\n",
            else_before="\n\nclass State(TypedDict):",
        )
        run(project, "uv", "add", "--quiet", "--frozen", "humanize>=4")
        (project / "app/greetings/wave.png").write_bytes(bytes(range(256)))

    def add_files(self, project: Path, name: str) -> None:
        for source in (name, f"{name}-{self.answers['lifecycle']}"):
            shutil.copytree(SOURCES / source, project, dirs_exist_ok=True)

    def convert(self, project: Path, lifecycle: str) -> None:
        """Write the `dependencies.py` of their slices anew, as the README says."""
        for name in ("greetings", "notes"):
            if (project / f"app/{name}").exists():
                source = SOURCES / f"{name}-{lifecycle}"
                shutil.copytree(source, project, dirs_exist_ok=True)

    def edits(self, project: Path) -> None:
        """Change the template's own files in every way that people do."""
        # A function is changed.
        replace(
            project / "app/http_client.py",
            "    limits = Limits(max_connections=100, max_keepalive_connections=20)\n",
            "    limits = Limits(max_connections=500, max_keepalive_connections=50)  # measured\n",
        )
        # Lines are added at the start, in the middle, at the end.
        application = project / "app/application.py"
        insert(application, "from collections.abc import Sequence\n", "from time import time\n")
        insert(
            application, "    add_problem_handlers(app)\n", "    app.state.started_at = time()\n"
        )
        append(
            application, "\n\ndef started_at(app: App) -> float:\n    return app.state.started_at\n"
        )
        conftest = project / "tests/conftest.py"
        append(conftest, '\n\n@pytest.fixture\ndef ours() -> str:\n    return "ours"\n')
        readme = project / "README.md"
        insert(readme, "# My Service\n", "\nOwned by team Ours; see the runbook.\n")
        insert(readme, "## What is where\n", "\nWe keep decisions in `docs/decisions`.\n")
        append(readme, "\n## Our runbook\n\nAsk in #ours.\n")
        append(project / ".env.example", "OUR_FLAG=1\n")
        append(project / ".gitignore", "/ours/\n")
        insert(project / "pyproject.toml", "[tool.ruff]\n", "# Our house style:\n")
        insert(project / "dev.py", "import os\n", "# Ours: a proxy is needed here.\n")
        insert(project / "app/__main__.py", "import sys\n", "# Ours: see the runbook.\n")
        # So are they in the files that an answer brings along, and in those that it swaps.
        for file in map(project.joinpath, OF_ANSWERS):
            if file.exists():
                append(file, f'\n\nOURS = "{file.stem}"\n')
        for file in map(project.joinpath, BESIDE_CODE):
            if file.exists():
                first, rest = file.read_text().split("\n", 1)
                file.write_text(
                    f"{first}\n# Ours: {file.name}, above\n{rest}# Ours: {file.name}, below\n"
                )
        if self.answers["lifecycle"] == "depends":
            insert(
                project / "app/wiring.py",
                "HttpClientDep = Annotated[AsyncClient, Depends(get_http_client)]\n",
                "OurHttpClientDep = HttpClientDep\n",
            )
        else:
            insert(
                project / "app/wiring.py",
                "def register(container: AppContainer) -> None:\n",
                "    # Ours: what others need is registered here.\n",
            )
        # A file is formatted in another way.
        ruff = ("ruff", "format", "--quiet", "--isolated", "--line-length", "60")
        run(project, *ruff, "app/web/problems.py", "app/web/logs.py")
        # One is renamed, one deleted, one made executable.
        (project / "tests/web/test_shell.py").rename(project / "tests/web/test_http.py")
        (project / "tests/web/test_openapi.py").unlink()
        (project / "dev.py").chmod(0o755)


def append(file: Path, text: str) -> None:
    """Add text at the end of a file."""
    file.write_text(file.read_text() + text)


def insert(file: Path, after: str, text: str) -> None:
    """Add text behind the one place where `after` stands."""
    replace(file, after, after + text)


def add_to(file: Path, text: str, *, behind: str, else_before: str) -> None:
    """Add text behind a comment that asks for it; earlier versions of the template have none."""
    if behind in file.read_text():
        insert(file, behind, text)
    else:
        replace(file, else_before, text + else_before)


def replace(file: Path, old: str, new: str) -> None:
    """Replace what stands in a file once."""
    content = file.read_text()
    assert content.count(old) == 1, f"{old!r} stands {content.count(old)} times in {file}"
    file.write_text(content.replace(old, new))


@dataclass(frozen=True)
class Own:
    """What is the owner's own in a project: the difference between what was rendered and what they committed."""

    lines: dict[str, Counter[str]]
    binaries: dict[str, bytes]
    removed: frozenset[str]
    executable: frozenset[str]


def own_of(rendered: Path, project: Path) -> Own:
    """Compare a render with what its owner has made of it."""
    before, after = files(rendered), files(project)
    lines: dict[str, Counter[str]] = {}
    binaries = {}
    for name, content in after.items():
        if content == before.get(name):
            continue
        try:
            written = _lines(content)
        except UnicodeDecodeError:
            binaries[name] = content
            continue
        lines[name] = written - _lines(before.get(name, b""))
    executable = {
        name
        for name in after
        if (project / name).stat().st_mode & stat.S_IXUSR
        and not (name in before and (rendered / name).stat().st_mode & stat.S_IXUSR)
    }
    removed = frozenset(before.keys() - after.keys())
    return Own(lines, binaries, removed, frozenset(executable))


def _lines(content: bytes) -> Counter[str]:
    return Counter(line for line in content.decode().splitlines() if line.strip())


@dataclass(frozen=True)
class Outcome:
    """How an update went: `lost` are lines and other things of the owner's that are nowhere any more."""

    conflicts: dict[str, int]
    unparsable: list[str]
    lost: list[str]
    vanished: list[str] = field(default_factory=list)
    """Files with lines of the owner's that are not there any more."""

    @property
    def hunks(self) -> int:
        return sum(self.conflicts.values())


def account(own: Own, project: Path, fresh: Path) -> Outcome:
    """Look for everything of the owner's in an updated project; `fresh` is what they would be given anew.

    A line has to be there once more than the template has it: in the file, in a conflict, or in a `.rej` beside it.
    """
    after, template = files(project), files(fresh)
    lost = []
    for name, written in own.lines.items():
        content = after.get(name, b"")
        there = _lines(content) + _rejected(after.get(f"{name}.rej", b""))
        # A line that both sides of a conflict begin or end with stands there once.
        if MARKER not in content:
            there -= _lines(template.get(name, b""))
        missing = written - there
        lost += [f"{name}: {line}" for line in missing.elements()]
    lost += [
        f"{name} (bytes)" for name, content in own.binaries.items() if after.get(name) != content
    ]
    lost += [f"{name} (was deleted)" for name in own.removed if name in after]
    lost += [
        f"{name} (executable)"
        for name in own.executable
        if name in after and not (project / name).stat().st_mode & stat.S_IXUSR
    ]
    conflicts = {
        name: content.count(MARKER) for name, content in after.items() if MARKER in content
    }
    vanished = [name for name in own.lines if name not in after]
    return Outcome(conflicts, list(_unparsable(after)), lost, vanished)


def _rejected(content: bytes) -> Counter[str]:
    """Return the lines that a rejected hunk would have added."""
    added = (line[1:] for line in content.decode().splitlines() if line.startswith("+"))
    return Counter(line for line in added if line.strip())


def _unparsable(tree: Mapping[str, bytes]) -> Iterator[str]:
    for name, content in tree.items():
        try:
            if name.endswith(".py"):
                ast.parse(content)
            elif name.endswith(".toml"):
                tomllib.loads(content.decode())
        except (SyntaxError, tomllib.TOMLDecodeError):
            yield name


def empty_folders(project: Path) -> list[str]:
    """Return the folders in which nothing is left."""
    return [
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.is_dir()
        and ".git" not in path.relative_to(project).parts
        and not any(path.iterdir())
    ]
