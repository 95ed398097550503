"""Rewrites `dependencies.py` for plain FastAPI `Depends`: the `plain-dependencies` command.

The types, what makes them and how long they live are the container's; a factory keeps its lines.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import app.kit.lifecycle
from app.kit.development.plain_module import Aliases, PlainModule
from app.kit.development.registrations import LIBRARY
from app.kit.lifecycle import WiringError
from app.kit.lifecycle.providers import find_aliases, function_of
from app.kit.service import Service


def rewrite(service: Service, files: Sequence[Path]) -> str:
    """Rewrite the `dependencies.py` of slices and return what to do then.

    Raise WiringError if one cannot be rewritten; then none is.
    """
    modules = asyncio.run(_modules(service))
    aliases = aliases_of([app.kit.lifecycle, *modules])
    plain = {file: PlainModule(_module_of(file, modules)) for file in files}
    for each in plain.values():
        aliases |= each.aliases()
    texts = {file: _formatted(file, each.text(aliases)) for file, each in plain.items()}
    try:
        TopologicalSorter({each.name: each.needs for each in plain.values()}).prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise WiringError(f"imports in a cycle, {cycle}: move what one needs elsewhere") from None
    for file, text in texts.items():
        file.write_text(text)
    return f"Rewrote {', '.join(map(str, files))}: run `uv run pytest`, then commit."


async def _modules(service: Service) -> Sequence[ModuleType]:
    async with service.open_root_scope(service.read_settings()) as root_scope:
        return root_scope.modules


def _module_of(file: Path, modules: Sequence[ModuleType]) -> ModuleType:
    for each in modules:
        if Path(str(each.__file__)) == file.resolve():
            return each
    raise WiringError(f"{file} is nowhere the `dependencies` of a slice: see `app/slices.py`")


def aliases_of(modules: Sequence[ModuleType]) -> Aliases:
    """Return the first alias of each type, or that of its provider's own module."""
    found: Aliases = {}
    for path, (wanted, provider, _) in find_aliases(modules).items():
        module, _, name = path.rpartition(".")
        if wanted not in found or function_of(provider).__module__ == module:
            found[wanted] = module, name
    return found


def _formatted(file: Path, text: str) -> str:
    """Return the text formatted. Raise WiringError if it still needs the container."""
    check = ("check", "--fix", "--select", "F401,F821,I", "--output-format", "concise")
    for arguments in (check, ("format",)):
        ruff = (sys.executable, "-m", "ruff", *arguments, "--quiet", "--stdin-filename", str(file))
        done = subprocess.run([*ruff, "-"], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WiringError(f"{file} would be wrong: {done.stderr.strip()}")
        text = done.stdout
    if found := re.search(rf"\bResolve\(.*?\)|^(from|import) {LIBRARY}\b.*", text, re.MULTILINE):
        remedy = "import an alias, write a plain provider, or move what needs it"
        raise WiringError(f"{file} would still have `{found[0]}`: {remedy}")
    return text
