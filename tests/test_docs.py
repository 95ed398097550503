"""What the documents show of rendered code is what is rendered."""

import re

import pytest

from tests.conftest import Rendered
from tests.variants import ROOT, focused

SHOWN = re.compile(
    r"<!-- (?P<lifecycle>\S+): (?P<path>\S+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL
)


@pytest.mark.parametrize("lifecycle", ["depends", "clean-ioc"])
def test_shown_code_is_rendered_code(rendered: Rendered, lifecycle: str) -> None:
    texts = [(ROOT / name).read_text() for name in ("docs/choosing-a-lifecycle.md", "README.md")]
    found = (each for text in texts for each in SHOWN.finditer(text))
    shown = [each for each in found if each["lifecycle"] in (lifecycle, "both")]
    assert len(shown) == {"depends": 6, "clean-ioc": 2}[lifecycle]
    (variant,) = focused(lifecycle=lifecycle, database="sqlite")
    for each in shown:
        assert each["code"] in (rendered(**variant) / each["path"]).read_text(), each["path"]


def test_files_that_documents_name_exist(rendered: Rendered) -> None:
    text = (ROOT / "docs/choosing-a-lifecycle.md").read_text()
    (variant,) = focused(lifecycle="clean-ioc", database="sqlite")
    named = set(re.findall(r"`(app/\S+\.py)`", text))
    assert {name for name in named if not (rendered(**variant) / name).is_file()} == set()
