"""Popular libraries for SQLAlchemy and FastAPI work with the rendered models.

`tests/history/libraries/` has the owner's code: sqladmin, polyfactory, fastapi-pagination and
fastapi-filter.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Rendered, as_parameter
from tests.projects import run
from tests.variants import Answers, focused

LIBRARIES = ("sqladmin", "polyfactory", "fastapi-pagination", "fastapi-filter")
VARIANTS = [
    *focused(lifecycle="depends", database="sqlite"),
    *focused(lifecycle="clean-ioc", database="postgresql"),
    *focused(lifecycle="dishka", database="sqlite"),
]


@pytest.mark.parametrize("variant", [as_parameter(each) for each in VARIANTS], indirect=True)
def test_popular_libraries_work(rendered: Rendered, variant: Answers, tmp_path: Path) -> None:
    project = shutil.copytree(rendered(**variant), tmp_path / "p")
    own = Path(__file__).parent / "history/libraries"
    shutil.copytree(own, project, dirs_exist_ok=True)
    run(project, "uv", "add", "--quiet", "--dev", *LIBRARIES)
    run(project, "uv", "run", "ruff", "check", ".")
    run(project, "uv", "run", "mypy")
    output = run(project, "uv", "run", "pytest", "-p", "no:cacheprovider", "tests/libraries")
    assert re.search(r"\b4 passed", output)
