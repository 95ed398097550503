"""Turns the text of a factory into that of a plain provider."""

import ast
import re
from collections.abc import Mapping
from itertools import accumulate

Function = ast.FunctionDef | ast.AsyncFunctionDef

_DROPPED = {"provide", "staticmethod", "contextmanager", "asynccontextmanager"}
"""The decorators that a provider does without."""


def fault_of(factory: Function) -> str | None:
    """Return what a plain provider would do in another way; None if it does the same."""
    for decorator in factory.decorator_list:
        name = ast.unparse(decorator).partition("(")[0]
        if name.rpartition(".")[2] not in _DROPPED:
            return f"has a factory with `@{name}`"
    if factory.args.defaults or any(factory.args.kw_defaults):
        return "has a factory with a default, which FastAPI would read from the request"
    nodes = list(ast.walk(factory))
    if any(isinstance(each, ast.Name) and each.id == "self" for each in nodes):
        return "has a factory that needs `self`"
    alone = [each.value for each in nodes if isinstance(each, ast.Expr)]
    yields = [each for each in nodes if isinstance(each, ast.Yield | ast.YieldFrom)]
    if any(isinstance(each, ast.YieldFrom) or each not in alone for each in yields):
        return "has a factory that uses the value of `yield`, where FastAPI raises the error"
    bodies = [getattr(each, "body", []) for each in nodes if isinstance(each, ast.stmt)]
    if any(_yields(each) for body in bodies for each in body[:-1]):
        return "has a factory that goes on after `yield`, where FastAPI raises: use `finally`"
    return None


def provider_of(source: str, factory: Function, name: str, types: Mapping[str, str]) -> str:
    """Return the factory as an `async def` with another name and other types of parameters."""
    data = source.encode()
    starts = [0, *accumulate(map(len, data.splitlines(keepends=True)))]

    def span(node: ast.expr | Function) -> tuple[int, int]:
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return starts[node.lineno - 1] + node.col_offset, end

    begin, end = span(factory)
    edits = [(begin, data.index(b"(", begin), f"async def {name}")]
    for parameter in ast.walk(factory.args):
        if isinstance(parameter, ast.arg) and parameter.annotation:
            edits.append((*span(parameter.annotation), types[parameter.arg]))
    returns = factory.returns
    if isinstance(returns, ast.Subscript) and _yields(factory):  # Iterator[T], Generator[T, ...]
        made = returns.slice.elts[0] if isinstance(returns.slice, ast.Tuple) else returns.slice
        edits.append((span(returns)[0], span(made)[0], "AsyncIterator["))
        edits.append((span(made)[1], span(returns)[1], "]"))
    text = data[:end]
    for start, stop, new in sorted(edits, reverse=True):
        text = text[:start] + new.encode() + text[stop:]
    return re.sub(r"\(\s*self\b\s*,?\s*", "(", text[begin:].decode(), count=1)


def _yields(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Yield) for each in ast.walk(node))
