"""A new choice of a question never renders the text of its neighbours.

Each question gets a made-up choice in a copy of the template. Without an entry for it in each
`{...}[question]`, the copy must fail to render. With entries, it must render nothing that belongs
to exactly one of the other choices: that would be the text of a bare `else`.
"""

import gc
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier.errors import UserMessageError
from jinja2 import UndefinedError

from tests.conftest import Rendered
from tests.projects import files, render, without
from tests.variants import (
    ROOT,
    Answers,
    all_variants,
    choices,
    covering_set,
    is_offered,
    questions,
)

MADE_UP = "zz"
WITH_WORDS = [name for name in choices() if questions()[name]["type"] == "str"]
"""Questions that may get another choice; the others ask for yes or no."""
ANSWERS = (".copier-answers.yml", "tests/kit/test_answers.py")


def with_choice(folder: Path, name: str, *, known: bool) -> Path:
    """Return a copy of the template in which a question has a made-up choice."""
    shutil.copytree(ROOT / "template", folder / "template")
    config = yaml.safe_load((ROOT / "copier.yml").read_text())
    config[name]["choices"]["Made up"] = MADE_UP
    if known:
        for question in questions():
            config[question]["default"] = with_entry(config[question].get("default", ""), name)
        for file in folder.rglob("*.jinja"):
            file.write_text(with_entry(file.read_text(), name))
    (folder / "copier.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def with_entry(text: Any, name: str) -> Any:
    """Return a text in which `{...}[name]` has an entry for the made-up choice."""
    if not isinstance(text, str):
        return text
    return text.replace(f"}}[{name}]", f", '{MADE_UP}': 'made up'}}[{name}]")


# Copier leaves the folder that it was reading open: collect it here, not in another test.
@pytest.mark.filterwarnings("ignore:.*ScandirIterator:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", choices())
def test_an_unknown_choice_fails_to_render(tmp_path: Path, name: str) -> None:
    template = with_choice(tmp_path / "template", name, known=False)
    with pytest.raises((UserMessageError, UndefinedError), match=f"has no attribute '{MADE_UP}'"):
        render(template, tmp_path / "p", **{name: MADE_UP})
    gc.collect()


@pytest.mark.parametrize("name", WITH_WORDS)
def test_a_new_choice_renders_no_text_of_its_neighbours(
    rendered: Rendered, request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    template = with_choice(tmp_path / "template", name, known=True)
    found: set[str] = set()
    for context in contexts(name)[: 2 if request.config.getoption("quick") else None]:
        made_up = render(template, tmp_path / "p", **context | {name: MADE_UP})
        theirs = {value: rendered(**context | {name: value}) for value in choices()[name]}
        found |= foreign_lines(lines_of(made_up), {k: lines_of(v) for k, v in theirs.items()})
        shutil.rmtree(made_up)
    assert not found, "\n".join(sorted(found))


def contexts(name: str) -> list[Answers]:
    """Return few variants beside whose other answers all choices of a question are offered."""
    those = [
        variant
        for variant in all_variants()
        if variant[name] == choices()[name][0]
        and all(is_offered(variant | {name: value}) for value in choices()[name])
    ]
    return covering_set(those, 2)


def lines_of(project: Path) -> set[tuple[str, str]]:
    """Return each line of a project with the path of its file, and an empty line for each file."""
    return {
        (name, line.strip())
        for name, content in without(files(project), *ANSWERS).items()
        for line in ["", *content.decode().splitlines()]
    }


def foreign_lines(
    made_up: set[tuple[str, str]], theirs: Mapping[Any, set[tuple[str, str]]]
) -> set[str]:
    """Return the lines of a made-up choice that exactly one of the other choices has."""
    found = set()
    for value, lines in theirs.items():
        others = set[tuple[str, str]]().union(*(theirs[each] for each in theirs if each != value))
        found |= {f"{value}: {path}: {line}" for path, line in made_up & (lines - others)}
    return found


def test_a_bare_else_is_found() -> None:
    sqlite, postgresql, none = {("a", "x"), ("a", "y")}, {("a", "x"), ("a", "z")}, {("a", "n")}
    theirs = {"sqlite": sqlite, "postgresql": postgresql, "none": none}
    assert foreign_lines({("a", "x")}, theirs) == set()
    assert foreign_lines({("a", "x"), ("a", "z")}, theirs) == {"postgresql: a: z"}


def test_lookups_by_an_answer_are_found() -> None:
    """`with_choice` knows one way to write them."""
    texts = [
        (ROOT / "copier.yml").read_text(),
        *(file.read_text() for file in (ROOT / "template").rglob("*.jinja")),
    ]
    for name in choices():
        assert any(f"}}[{name}]" in text for text in texts), name
        assert not any(
            re.search(rf"\[ +{name}\b|\[{name} +\]|\.get\({name}", text) for text in texts
        )
