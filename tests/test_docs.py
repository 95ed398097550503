"""Code in the documents is rendered code, and the files that they name exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.projects import run
from tests.variants import ROOT, Answers, choices, focused

SHOWN = re.compile(
    r"<!-- (?P<lifecycle>\S+): (?P<path>\S+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL
)


@pytest.mark.parametrize("lifecycle", choices()["lifecycle"])
def test_shown_code_is_rendered_code(rendered: Rendered, lifecycle: str) -> None:
    texts = [(ROOT / name).read_text() for name in ("docs/choosing-a-lifecycle.md", "README.md")]
    found = (each for text in texts for each in SHOWN.finditer(text))
    shown = [each for each in found if each["lifecycle"] in (lifecycle, "every")]
    assert len(shown) == {"depends": 6, "clean-ioc": 2, "dishka": 2}[lifecycle]
    (variant,) = focused(lifecycle=lifecycle, database="sqlite")
    for each in shown:
        assert each["code"] in (rendered(**variant) / each["path"]).read_text(), each["path"]


@pytest.mark.parametrize("lifecycle", choices()["lifecycle"])
def test_the_drawn_graph_is_that_of_the_default_answers(
    installed: Rendered, lifecycle: str
) -> None:
    text = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"```mermaid\n(.*?)```\n", text, re.DOTALL)
    if lifecycle == "depends":  # there, this provider takes its settings from the root scope
        shown = shown.replace("    RateLimiter --> KitSettings\n", "")
    (variant,) = focused(lifecycle=lifecycle, database="sqlite")
    settings = {"SECRET_KEY": "a key for tests that guards nothing at all"}
    command = ("uv", "run", "python", "-m", "app", "graph")
    assert run(installed(**variant), *command, settings=settings).endswith(shown)


def test_files_that_documents_name_exist(rendered: Rendered) -> None:
    text = (ROOT / "docs/choosing-a-lifecycle.md").read_text()
    (variant,) = focused(lifecycle="clean-ioc", database="sqlite")
    named = set(re.findall(r"`(app/\S+\.py)`", text))
    assert {name for name in named if not (rendered(**variant) / name).is_file()} == set()


CONCEPT = re.compile(r"^\| (?!concept |---)(.+?) \| .* \| `(.+)` \|$", re.MULTILINE)


def concepts(project: Path) -> list[list[tuple[str, str]]]:
    """Return the concepts and their files of each part of a project's `docs/concepts.md`."""
    parts = (project / "docs/concepts.md").read_text().split("\n## ")[1:]
    return [CONCEPT.findall(part) for part in parts]


def test_concepts_fit_their_budget(rendered: Rendered, paired_variant: Answers) -> None:
    """A route with a table needs at most 8; the smallest render has at most 12."""
    project = rendered(**paired_variant)
    first, *others = concepts(project)
    files = [file for part in (first, *others) for _, file in part]
    assert [file for file in files if not (project / file).is_file()] == []
    of_objects = {"depends": 3, "clean-ioc": 4, "dishka": 4}[paired_variant["lifecycle"]]
    assert len(first) == of_objects + (4 if paired_variant["database"] != "none" else 0)
    assert len(first) <= 8
    if len(others) == 1:
        assert len(first) + len(others[0]) <= 12
