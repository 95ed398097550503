"""Plays the owner of a project: works in it, updates it, and accounts for every line.

Other templates can use this module: only `History` knows this template.

    project = scaffold(template, folder, **answers)       a rendered project in a git repository
    History(answers).slices(project)                      its owner works in it
    own = own_of(fresh_before, project)                   what is theirs
    commit(project, "Work of weeks")
    update(project, database="postgresql")                what `copier update` does
    outcome = account(own, project, fresh_after)          conflicts, unparsable files, lost lines
"""

import ast
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

SOURCES = Path(__file__).parent / "history"
OF_ANSWERS = (
    "app/accounts/routes.py",
    "app/examples/background.py",
    "app/kit/cache/responses.py",
    "app/kit/cache/store.py",
    "app/kit/database/engines.py",
    "app/kit/jobs/queue.py",
    "app/kit/lifecycle/scopes.py",
    "app/kit/websockets/backplane.py",
    "app/rooms/routes.py",
    "app/upstream/dependencies.py",
    "app/upstream/service.py",
    "app/users/dependencies.py",
    "app/users/service.py",
    "tests/accounts/test_register.py",
    "tests/kit/cache/test_store.py",
    "tests/kit/database/fixtures.py",
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
    "nginx.conf",
)
"""Files that run no code of the service; not every project has all of them."""
MARKER = b"<<<<<<< before updating"


def scaffold(template: Path, folder: Path, version: str = VERSION, **answers: Any) -> Path:
    """Render a variant and commit it, as its owner would."""
    render(template, folder, version, **answers)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "Scaffolded")
    return folder


def commit(project: Path, message: str) -> None:
    """Commit everything."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", message)


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
    """Update to a version of the template, by default the same one, with some answers changed."""
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
    """The owner's work in a project before an update."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers

    def slices(self, project: Path, *, with_database: bool | None = None) -> None:
        """Add slices as the README says, and a line wherever the template has a place for one.

        Without a database, `notes` is left out: it has a table.
        """
        if with_database is None:
            with_database = self.answers["database"] != "none"
        names = ("greetings", "notes") if with_database else ("greetings",)
        for name in names:
            self.add_files(project, name)
        slices = project / "app/slices.py"
        insert(
            slices,
            "\n# Yours:\n",
            "".join(
                f"import app.{name}.{module}\n"
                for name in names
                for module in ("dependencies", "routes")
            ),
        )
        for name in reversed(names):
            line = f"Slice(router=app.{name}.routes.router, dependencies=app.{name}.dependencies)"
            insert(slices, "    # Yours:\n", f"    {line},\n")
        append(
            project / "app/settings.py",
            '    greeting: str = "Hello"\n    """The first word of every greeting."""\n',
        )
        self.add_providers(project / "app/wiring.py")
        commands = project / "app/__main__.py"
        insert(commands, "import app.application\n", "from app.greetings.commands import greet\n")
        insert(commands, "    # Yours:\n", '    Command("greet", greet, ["name"]),\n')
        self.extend_application(project / "app/application.py")
        run(project, "uv", "add", "--quiet", "--frozen", "humanize>=4")
        (project / "app/greetings/wave.png").write_bytes(bytes(range(256)))

    def add_files(self, project: Path, name: str) -> None:
        """Add the files of a slice, wired in the style of the lifecycle."""
        for source in (name, f"{name}-{self.answers['lifecycle']}"):
            shutil.copytree(SOURCES / source, project, dirs_exist_ok=True)

    def add_providers(self, wiring: Path) -> None:
        """Add a singleton and a provider that reads the request, with their imports."""
        replace(wiring, "from fastapi import Depends\n", "from fastapi import Depends, Header\n")
        insert(
            wiring,
            "from fastapi import Depends, Header\n\n",
            "from app.greetings.clock import Clock\n",
        )
        append(
            wiring,
            "\n\n@singleton\nasync def get_clock() -> Clock:\n    return Clock()\n\n\n"
            "ClockDep = Annotated[Clock, Depends(get_clock)]\n\n\n"
            "async def get_language(\n"
            '    accept_language: Annotated[str, Header()] = "en",\n'
            ") -> str:\n"
            '    return accept_language.partition(",")[0]\n\n\n'
            "LanguageDep = Annotated[str, Depends(get_language)]\n",
        )

    def extend_application(self, application: Path) -> None:
        """Add a middleware and a router that no slice has."""
        insert(
            application,
            "from contextlib import AbstractAsyncContextManager\n\n",
            "from starlette.middleware import Middleware\n\n"
            "import app.greetings.status\nimport app.greetings.timing\n",
        )
        replace(
            application,
            "        middleware=kit_middleware(settings),  # the first is the outermost\n",
            "        middleware=[\n"
            "            *kit_middleware(settings),\n"
            "            Middleware(app.greetings.timing.ServerTiming),\n"
            "        ],\n",
        )
        replace(
            application,
            "    return application\n",
            "    application.include_router(app.greetings.status.router)\n    return application\n",
        )

    def convert(self, project: Path, *names: str) -> None:
        """Rewrite the `dependencies.py` of slices for plain `Depends`, by default the owner's."""
        files = [f"app/{name}/dependencies.py" for name in names or ("greetings", "notes")]
        files = [each for each in files if (project / each).exists()]
        run(project, "uv", "run", "dev.py", "plain-dependencies", *files)

    def edits(self, project: Path) -> None:
        """Change the template's own files in every way that people do."""
        # A function is changed.
        replace(
            project / "app/kit/http_client.py",
            "    limits = Limits(max_connections=100, max_keepalive_connections=20)\n",
            "    limits = Limits(max_connections=500, max_keepalive_connections=50)  # measured\n",
        )
        # Lines are added at the start, in the middle and at the end.
        application = project / "app/application.py"
        insert(application, "from collections.abc import Sequence\n", "from time import time\n")
        replace(
            application,
            "    for each in SLICES:\n        if",
            "    application.state.started_at = time()\n    for each in SLICES:\n        if",
        )
        append(application, '\n\nOURS = "at the end"\n')
        append(
            project / "tests/conftest.py",
            '\n\n@pytest.fixture\ndef ours() -> str:\n    return "ours"\n',
        )
        readme = project / "README.md"
        insert(readme, "# My Service\n", "\nOwned by team Ours; see the runbook.\n")
        insert(readme, "## Layout\n", "\nWe keep decisions in `docs/decisions`.\n")
        append(readme, "\n## Our runbook\n\nAsk in #ours.\n")
        append(project / ".env.example", "OUR_FLAG=1\n")
        append(project / ".gitignore", "/ours/\n")
        insert(project / "pyproject.toml", "[tool.ruff]\n", "# Our house style:\n")
        insert(project / "dev.py", "import os\n", "# Ours: a proxy is needed here.\n")
        insert(
            project / "app/main.py",
            "from app.application import create_app\n",
            "# Ours: see the runbook.\n",
        )
        # Files that an answer adds or replaces are edited, too.
        for file in map(project.joinpath, OF_ANSWERS):
            if file.exists():
                append(file, f'\n\nOURS = "{file.stem}"\n')
        for file in map(project.joinpath, BESIDE_CODE):
            if file.exists():
                first, rest = file.read_text().split("\n", 1)
                file.write_text(
                    f"{first}\n# Ours: {file.name}, above\n{rest}# Ours: {file.name}, below\n"
                )
        uses_depends = self.answers["lifecycle"] == "depends"
        made_by = "Depends(get_http_client)" if uses_depends else "Resolve(AsyncClient)"
        insert(
            project / "app/kit/wiring.py",
            f"HttpClientDep = Annotated[AsyncClient, {made_by}]\n",
            "OurHttpClientDep = HttpClientDep\n",
        )
        # A file is formatted in another way.
        ruff = ("ruff", "format", "--quiet", "--isolated", "--line-length", "60")
        run(project, *ruff, "app/kit/web/problems.py", "app/kit/logs.py")
        # One is renamed, one deleted, one made executable.
        (project / "tests/kit/web/test_shell.py").rename(project / "tests/kit/web/test_http.py")
        (project / "tests/kit/web/test_openapi.py").unlink()
        (project / "dev.py").chmod(0o755)


def append(file: Path, text: str) -> None:
    """Add text at the end of a file."""
    file.write_text(file.read_text() + text)


def insert(file: Path, after: str, text: str) -> None:
    """Add text after the only occurrence of `after`."""
    replace(file, after, after + text)


def replace(file: Path, old: str, new: str) -> None:
    """Replace the only occurrence of a text in a file."""
    content = file.read_text()
    assert content.count(old) == 1, f"{old!r} occurs {content.count(old)} times in {file}"
    file.write_text(content.replace(old, new))


@dataclass(frozen=True)
class Own:
    """The owner's additions to a project: the difference between the render and their commit."""

    lines: dict[str, Counter[str]]
    binaries: dict[str, bytes]
    removed: frozenset[str]
    executable: frozenset[str]


def own_of(rendered: Path, project: Path) -> Own:
    """Compare a render with the project that its owner has made of it."""
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
    """The result of an update.

    `lost` names the owner's lines, bytes and modes that are in no file any more.
    """

    conflicts: dict[str, int]
    unparsable: list[str]
    lost: list[str]
    vanished: list[str] = field(default_factory=list)
    """Removed files in which the owner had lines."""

    @property
    def hunks(self) -> int:
        return sum(self.conflicts.values())


def account(own: Own, project: Path, fresh: Path) -> Outcome:
    """Look for the owner's work in an updated project; `fresh` is a new render of the new answers.

    A line must occur once more than in the fresh render: in the file, in a conflict, or in a `.rej`
    file next to it.
    """
    after, template = files(project), files(fresh)
    lost = []
    for name, written in own.lines.items():
        content = after.get(name, b"")
        there = _lines(content) + _rejected(after.get(f"{name}.rej", b""))
        # A line with which both sides of a conflict begin or end occurs only once.
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
    """Return the empty folders of a project."""
    return [
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.is_dir()
        and ".git" not in path.relative_to(project).parts
        and not any(path.iterdir())
    ]
