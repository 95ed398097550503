"""Renders variants and runs commands in them, each in its own environment."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import copier
import jinja2

from tests.variants import ROOT, asked

VERSION = "v9999.0.0"
"""The tag under which the work tree is rendered."""

# A pyenv shim or an activated environment would mislead uv; bytecode makes every start faster.
_UNSET = {"VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME"}
# No setting of a service may come from the tester's environment.
_SETTINGS = {
    "DATABASE_URL",
    "DATABASE_POOLER",
    "DATABASE_DIRECT_URL",
    "SECRET_KEY",
    "ENVIRONMENT",
    "SMTP_URL",
    "CORS_ORIGINS",
    "LOG_LEVEL",
    "REDIS_URL",
    "JOB_REDIS_URL",
    "API_DOCS",
    "ALLOWED_HOSTS",
    "ROOT_PATH",
}


IDENTITY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@example.com",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@example.com",
}
"""The author of commits, instead of the tester."""


_in_use: dict[str, str] = {}


@contextmanager
def using(**settings: str) -> Iterator[None]:
    """Give all commands these settings: `UV_PYTHON` decides on which interpreter projects run."""
    before = dict(_in_use)
    _in_use.update(settings)
    try:
        yield
    finally:
        _in_use.clear()
        _in_use.update(before)


def environment(**changes: str) -> dict[str, str]:
    """Return an environment for commands: a newcomer's, with this interpreter or the one in use."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _UNSET | _SETTINGS and not name.startswith("PYTEST_")
    }
    base = getattr(sys, "_base_executable", sys.executable)
    return {**kept, "UV_PYTHON": base, "UV_PYTHON_DOWNLOADS": "never", **_in_use, **changes}


def git(folder: Path, *arguments: str) -> str:
    """Run git without the tester's configuration; return what it prints."""
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(**IDENTITY), check=True, capture_output=True, text=True
    )
    return done.stdout


def snapshot(folder: Path) -> Path:
    """Return a tagged clone of the work tree, with uncommitted changes and new files."""
    git(ROOT, "clone", "--quiet", "--no-local", str(ROOT), str(folder))
    for name in filter(None, git(folder, "ls-files", "-z").split("\0")):
        (folder / name).unlink()
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "The work tree")
    git(folder, "tag", VERSION)
    return folder


def remembering(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Return `jinja2.Environment.compile` with a cache keyed by source and syntax.

    Copier compiles each part of each path again, which is half of the CPU of a render.
    """
    compiled: dict[tuple[Any, ...], Any] = {}

    def remembered(
        self: jinja2.Environment,
        source: Any,
        name: str | None = None,
        filename: str | None = None,
        *flags: bool,
    ) -> Any:
        syntax = (type(self), self.lexer, tuple(self.extensions))
        # Not by its file's name, which only tracebacks show: each update clones the template anew.
        key = (syntax, source, name, flags)
        if key not in compiled:
            compiled[key] = compile_(self, source, name, filename, *flags)
        return compiled[key]

    return remembered


def render(template: Path, folder: Path, version: str = VERSION, **answers: Any) -> Path:
    """Render a variant into `folder`. Raise ValueError for an answer without a question.

    Copier itself ignores unknown names, so a typo would test the default.
    """
    if unknown := answers.keys() - asked():
        raise ValueError(f"no questions of copier.yml: {', '.join(sorted(unknown))}")
    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True, vcs_ref=version)
    return folder


def run(
    folder: Path,
    *command: str,
    settings: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> str:
    """Run a command in a rendered project; return its output. Fail with all of it.

    After `timeout` seconds it is aborted: pytest then prints where each of its threads is.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**(settings or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # its children end with it
    )
    said = f"{' '.join(command)} in {folder}"
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        output = _abort(process)
        raise AssertionError(f"{said} took more than {timeout} s:\n{output}") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, f"{said} exited {process.returncode}:\n{output}"
    return output


def _abort(process: subprocess.Popen[str]) -> str:
    """End a command and its children; return what it has printed."""
    os.killpg(process.pid, signal.SIGABRT)
    try:
        return process.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def load(source: Path) -> ModuleType:
    """Return a module that rendered projects have, from its plain source."""
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a tree by their path, without what git and tools keep there."""
    ignored = {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not ignored & set(path.relative_to(folder).parts)
    }


def without(tree: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    """Return the tree without some files."""
    return {name: content for name, content in tree.items() if name not in names}
