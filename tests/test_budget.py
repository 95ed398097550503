"""Budgets of code for the owner, in lines without blanks, comments and docstrings."""

import ast
import io
import tokenize
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Rendered
from tests.variants import choices, focused

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Return the number of lines with code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        # Docstrings, those of attributes included.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_lines_are_counted_without_blanks_comments_and_docstrings() -> None:
    source = (
        '"""Module."""\n\n# comment\nclass A:\n    """Class."""\n\n    x = 1\n    """Of x."""\n'
    )
    assert code_lines(source) == 2


def owners_files(project: Path) -> list[Path]:
    """Return the Python files outside of the kit and the tests."""
    found = [*project.glob("*.py"), *(project / "app").rglob("*.py")]
    found += project.glob("migrations/*.py")
    return [each for each in found if "kit" not in each.relative_to(project).parts]


@pytest.mark.parametrize(
    ("answers", "budget"),
    [
        ({"database": "none"}, 200),
        ({"database": "sqlite"}, 750),
        (
            {"database": "postgresql", "cache": "redis", "websockets": "redis", "jobs": "redis"},
            1400,
        ),
    ],
)
@pytest.mark.parametrize("lifecycle", choices()["lifecycle"])
def test_the_owners_part_fits_its_budget(
    rendered: Rendered, lifecycle: str, answers: dict[str, Any], budget: int
) -> None:
    (variant,) = focused(lifecycle=lifecycle, **answers)
    project = rendered(**variant)
    counts = {
        each.relative_to(project).as_posix(): code_lines(each.read_text())
        for each in owners_files(project)
    }
    assert sum(counts.values()) <= budget, counts


GLUE = {"depends": 200, "clean-ioc": 252, "dishka": 240}


@pytest.mark.parametrize("lifecycle", choices()["lifecycle"])
def test_the_lifecycles_glue_fits_its_budget(rendered: Rendered, lifecycle: str) -> None:
    (variant,) = focused(lifecycle=lifecycle, database="sqlite")
    folder = rendered(**variant) / "app/kit/lifecycle"
    counts = {each.name: code_lines(each.read_text()) for each in folder.glob("*.py")}
    assert sum(counts.values()) <= GLUE[lifecycle], counts
