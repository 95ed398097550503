"""A module of objects, with plain providers for what it gives to the container."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.requests import HTTPConnection

from app.kit.development import factories, registrations
from app.kit.development.factories import Function
from app.kit.development.registration import Registration, names_of, not_plain
from app.kit.lifecycle import WiringError
from app.kit.lifecycle.providers import needed

Aliases = dict[Any, tuple[str, str]]
"""The module and the name of the alias of each type."""

_IMPORTS = {
    "from collections.abc import AsyncIterator\n",
    "from typing import Annotated\n",
    "from fastapi import Depends\n",
    "from app.kit.lifecycle import singleton\n",
}
"""What providers may need."""
_BRANCHES = (ast.If, ast.IfExp, ast.Match, ast.Try, ast.While)


class PlainModule:
    """A module that is rewritten, statement by statement."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.name = module.__name__
        self._file = f"{module.__name__.replace('.', '/')}.py"
        self._source = Path(str(module.__file__)).read_text()
        self._tree = ast.parse(self._source)
        self._imports = set(_IMPORTS)
        self.needs: set[str] = set()
        """The modules whose aliases the rewritten one imports."""
        self._registrations = registrations.registrations_of(module)
        self._aliases: dict[Any, list[ast.stmt]] = {}
        for made in self._registrations:
            if made.wanted in self._aliases:
                raise not_plain(module, made.wanted, "is provided more than once here")
            self._aliases[made.wanted] = []
        self._texts: dict[ast.stmt, str] = {}
        """The statements with the comments above them, and the strings below that document them."""
        lines, end = self._source.splitlines(keepends=True), 0
        for node in self._tree.body:
            text, end = "".join(lines[end : node.end_lineno]), node.end_lineno or 0
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and self._texts:
                self._texts[next(reversed(self._texts))] += text
            else:
                self._texts[node] = text
            alias = needed(vars(module).get(_subject(node)))
            if isinstance(node, ast.Assign) and alias and alias.wanted in self._aliases:
                self._aliases[alias.wanted].append(node)
        self._texts[next(reversed(self._texts))] += "".join(lines[end:])

    def aliases(self) -> Aliases:
        """Return the aliases that the rewritten module has for its objects."""
        found = {}
        for wanted, nodes in self._aliases.items():
            name = _subject(nodes[0]) if nodes else names_of(wanted).alias
            found[wanted] = self._module.__name__, name
        return found

    def text(self, aliases: Aliases) -> str:
        """Return the module with plain providers. `aliases` are those of the service."""
        moved = {each.wanted: self._definition(each.source) for each in self._registrations}
        made = [self._provider(each, moved[each.wanted], aliases) for each in self._registrations]
        gone: set[ast.AST | None] = set(moved.values()).union(*self._aliases.values())
        texts: list[str] = []
        for node, text in self._texts.items():
            if _subject(node) in registrations.names_for_container(self._module):
                texts += [self._comments(node, gone), *made]
                made.clear()
            elif node not in gone:
                if isinstance(node, ast.Import | ast.ImportFrom) and "__future__" not in text:
                    texts += sorted(self._imports)
                    self._imports.clear()
                texts.append(text)
        if made:
            raise WiringError(
                f"{self._file} defines nothing of what it provides: rewrite what does"
            )
        return "".join(_ordered(texts))

    def _definition(self, source: Any) -> Function | None:
        """Return the definition of a factory; None if it is elsewhere, or others call it, too."""
        function = inspect.unwrap(source)
        code = getattr(function, "__code__", None)
        if not code or code.co_filename != self._module.__file__ or "<" in function.__qualname__:
            return None
        nodes = list(ast.walk(self._tree))
        reads = sum(isinstance(each, ast.Name) and each.id == code.co_name for each in nodes)
        for each in nodes:
            if isinstance(each, Function) and _first_line(each) == code.co_firstlineno:
                return None if reads > 1 and each in self._texts else each
        return None

    def _provider(self, made: Registration, factory: Function | None, aliases: Aliases) -> str:
        """Return the provider of a type, and the alias below it."""
        type_, alias, provider = names_of(made.wanted)
        own = self._aliases[made.wanted]
        for name in (provider, *([] if own else [alias])):
            taken = vars(self._module).get(name)
            if taken is not None and (factory is None or taken is not made.source):
                raise not_plain(self._module, made.wanted, f"needs the name `{name}`", "rename it")
        types = self._types(made, aliases)
        text = "@singleton\n" if made.is_singleton else ""
        if factory is None:
            text += self._call(made, types)
        elif fault := factories.fault_of(factory):
            raise not_plain(self._module, made.wanted, fault)
        else:
            lines = self._texts.get(factory, "").splitlines(keepends=True)
            above = lines[: -(factory.end_lineno or 0) + _first_line(factory) - 1]
            text += factories.provider_of(self._source, factory, provider, types)
            text = "".join(above) + text
        depends = f"Depends({provider}{'' if made.is_kept else ', use_cache=False'})"
        texts = [re.sub(r"\bResolve\([^()]*\)", depends, self._texts[each]) for each in own]
        new = f"\n{alias} = Annotated[{type_}, {depends}]\n"
        return f"\n\n{text}\n\n{''.join(texts) or new}"

    def _types(self, made: Registration, aliases: Aliases) -> dict[str, str]:
        """Return the alias of each parameter. Raise WiringError for a type without one."""
        found = {}
        for each in inspect.signature(made.source, eval_str=True).parameters.values():
            wanted, name = each.annotation, each.name
            has_value = registrations.KEEPS_DEFAULTS and each.default is not each.empty
            if has_value or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                continue
            if wanted is HTTPConnection:
                module, found[name] = wanted.__module__, wanted.__name__
            elif wanted in aliases:
                module, found[name] = aliases[wanted]
            else:
                type_, alias, _ = names_of(wanted)
                remedy = f"write `{alias} = Annotated[{type_}, Resolve({type_})]` where it is made"
                fault = f"is what {names_of(made.wanted).type} needs, and has no alias"
                raise not_plain(self._module, wanted, fault, "" if "[" in type_ else remedy)
            if module != self._module.__name__:
                self._imports.add(f"from {module} import {found[name]}\n")
                self.needs.add(module)
        return found

    def _call(self, made: Registration, types: dict[str, str]) -> str:
        """Return a provider that calls a constructor, or a factory that others call, too."""
        source, (type_, _, provider) = made.source, names_of(made.wanted)
        name = getattr(source, "__name__", "")
        named: Any = vars(self._module).get(name)
        if named is not source:
            raise not_plain(
                self._module, made.wanted, f"is made by {source}, which has no name here"
            )
        parameters = inspect.signature(source).parameters
        given = (
            f"{each}={each}" if parameters[each].kind is inspect.Parameter.KEYWORD_ONLY else each
            for each in types
        )
        call = f"{name}({', '.join(given)})"
        head = f"async def {provider}({', '.join(map(': '.join, types.items()))}) -> "
        function, variable = inspect.unwrap(source), provider.removeprefix("get_")
        is_async_generator = inspect.isasyncgenfunction(function)
        if not (is_async_generator or inspect.isgeneratorfunction(function)):
            wait = "await " if inspect.iscoroutinefunction(function) else ""
            return f"{head}{type_}:\n    return {wait}{call}\n"
        if function is source:
            raise not_plain(self._module, made.wanted, f"has a generator, `{name}`, of others, too")
        with_ = "async with" if is_async_generator else "with"
        body = f"    {with_} {call} as {variable}:\n        yield {variable}\n"
        return f"{head}AsyncIterator[{type_}]:\n{body}"

    def _comments(self, node: ast.stmt, moved: set[ast.AST | None]) -> str:
        """Return the comments of a statement for the container. Raise WiringError for branches."""
        factories_in_it = [each for each in ast.walk(node) if each in moved]
        parts = {part for each in factories_in_it for part in ast.walk(each)}
        for part in ast.walk(node):
            if isinstance(part, _BRANCHES) and part not in parts:
                where = f"{self._file}:{part.lineno}"
                raise WiringError(f"{where} decides what is made: write a plain provider that does")
        text = self._texts[node]
        for each in factories_in_it:
            text = text.replace(ast.get_source_segment(self._source, each) or "", "")
        return "\n\n" + "".join(f"{each}\n" for each in re.findall(r"(?:^|\s)(#.*)", text))


def _ordered(texts: Sequence[str]) -> list[str]:
    """Return the statements in their order, after what they need when they run."""
    reads: dict[str, list[str]] = {}
    writers: dict[str, str] = {}
    for text in texts:
        for each in _run_at_once(ast.parse(text)):
            name = getattr(each, "id", "") or getattr(each, "name", "")
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
                reads.setdefault(text, []).append(name)
            elif name:
                writers.setdefault(name, text)
    begun: set[str] = set()
    found: list[str] = []

    def add(text: str) -> None:
        if text not in begun:
            begun.add(text)
            for name in reads.get(text, ()):
                add(writers.get(name, text))
            found.append(text)

    for text in texts:
        add(text)
    return found


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and those below it, except the bodies of functions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(node, Function) or child not in node.body:
            yield from _run_at_once(child)


def _subject(node: ast.stmt) -> str:
    """Return the name that a statement defines, or of the object whose method it calls."""
    found: Any = node.targets[0] if isinstance(node, ast.Assign) else node
    while isinstance(found, ast.Expr | ast.Call | ast.Attribute):
        found = found.func if isinstance(found, ast.Call) else found.value
    name: str = getattr(found, "name", "") or getattr(found, "id", "")
    return name


def _first_line(function: Function) -> int:
    return min(each.lineno for each in (function, *function.decorator_list))
