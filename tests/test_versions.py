"""All files say the same of Python: what the classifiers of our own `pyproject.toml` promise."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Rendered
from tests.interpreters import supported
from tests.variants import ROOT, focused, questions

PYTHONS = ["{}.{}".format(*minor) for minor in supported()]
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]


def named(text: str) -> set[str]:
    """Return the versions of Python that prose names."""
    return set(re.findall(r"\bPython (3\.\d+)", text))


@pytest.fixture(params=["github", "gitlab"])
def project(request: pytest.FixtureRequest, rendered: Rendered) -> Path:
    (variant,) = focused(ci=request.param, docker=True, database="sqlite")
    return rendered(**variant)


def test_versions_are_in_a_row() -> None:
    """None between the oldest and the newest is left out."""
    assert supported() == [(3, minor) for minor in range(supported()[0][1], supported()[-1][1] + 1)]
    assert len(supported()) > 1


def test_template_and_projects_name_the_same_pythons(project: Path) -> None:
    for folder in (ROOT, project):
        loaded = tomllib.loads((folder / "pyproject.toml").read_text())
        metadata, tool = loaded["project"], loaded["tool"]
        assert metadata["requires-python"] == f">={OLDEST}"
        promised = [each for each in metadata["classifiers"] if re.search(r":: \d+\.\d+$", each)]
        assert promised == [f"Programming Language :: Python :: {each}" for each in PYTHONS]
        assert tool["ruff"]["target-version"] == f"py{OLDEST.replace('.', '')}"
        assert tool["mypy"]["python_version"] == OLDEST
    assert yaml.safe_load(questions()["pythons"]["default"]) == PYTHONS


def test_documents_name_the_oldest_and_the_newest(project: Path) -> None:
    ours = (ROOT / "README.md").read_text()
    assert f"Python {OLDEST} to {NEWEST}" in ours
    assert named(ours) == {OLDEST}
    assert named((project / "README.md").read_text()) == {OLDEST}


def test_syntax_targets_name_the_oldest_python(project: Path) -> None:
    """Where a process says that its Python is too old."""
    text = (project / "app/__init__.py").read_text()
    assert f"sys.version_info < ({OLDEST.replace('.', ', ')})" in text
    assert f"Python {OLDEST} or newer" in text


def test_images_have_the_newest(project: Path) -> None:
    bases = re.findall(r"^FROM python:(\S+?)-", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert set(bases) == {NEWEST}


def test_rendered_ci_tests_the_oldest_and_the_newest(project: Path) -> None:
    """All else runs on the newest."""
    pipeline = project / ".gitlab-ci.yml"
    if pipeline.exists():
        jobs = yaml.safe_load(pipeline.read_text())
        assert jobs["test"]["parallel"]["matrix"] == [{"UV_PYTHON": [OLDEST, NEWEST]}]
        assert jobs["variables"]["UV_PYTHON"] == NEWEST
        assert "python3" not in pipeline.read_text()  # an image with a Python of its own
        return
    workflows = [yaml.safe_load(each.read_text()) for each in project.glob(".github/workflows/*")]
    (matrix,) = [
        job["strategy"]["matrix"]
        for workflow in workflows
        for job in workflow["jobs"].values()
        if "strategy" in job
    ]
    assert matrix == {"python": [OLDEST, NEWEST]}
    assert set(python_versions(workflows)) == {"${{ matrix.python }}", NEWEST}


def test_our_ci_runs_on_all() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == PYTHONS
    assert set(python_versions([workflow])) == {"${{ matrix.python }}", NEWEST}


def python_versions(workflows: list[Any]) -> list[str]:
    """Return what the steps of workflows ask for."""
    return [
        step["with"]["python-version"]
        for workflow in workflows
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "python-version" in step.get("with", {})
    ]
