"""No undocumented name of a library is used but those that `app/kit/private_api.py` lists."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.kit.private_api import PRIVATE_NAMES, PrivateName

ROOT = Path(__file__).parents[2]
UNDOCUMENTED_MODULES = ("sqlalchemy.util", "sqlalchemy.engine.result", "sqlalchemy.sql")
DOCUMENTED = {"_asdict", "_fields", "_mapping", "_replace"}
"""Names of rows and named tuples, where a name without an underscore could be a column."""
SOURCES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "app").rglob("*.py"))}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names() -> set[str]:
    """Return the private names that the service itself defines."""
    found: set[str] = set()
    for node in (node for tree in SOURCES.values() for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
    return found


def used_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a module takes from libraries."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if is_private(name):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith("app"):
                yield from (each.name for each in names if is_private(each.name))
                if module.startswith(UNDOCUMENTED_MODULES) or "._" in module:
                    yield from (f"{module}.{each.name}" for each in names)


def test_only_listed_names_are_used() -> None:
    listed = {each.name for each in PRIVATE_NAMES}
    known = own_names() | DOCUMENTED | listed | {name.rpartition(".")[2] for name in listed}
    for path, tree in SOURCES.items():
        assert set(used_names(tree)) <= known, path


@pytest.mark.parametrize("private", PRIVATE_NAMES, ids=lambda private: private.name)
def test_listed_name_exists_and_is_used(private: PrivateName) -> None:
    owner, _, attribute = private.name.rpartition(".")
    found = resolve(owner)
    assert hasattr(found, attribute) or hasattr(found(), attribute)
    assert attribute in (ROOT / private.used_in).read_text()


def resolve(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)
